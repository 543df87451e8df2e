//! The check of `Host` and `Origin`, by requests as a browser that was led astray would send them.

use crate::harness::{Home, Server};

#[test]
fn other_hosts_and_origins_are_refused_on_every_route() {
    let home = Home::indexed();
    let server = Server::start(&home, &[]);
    for path in ["/", "/healthz", "/v1/chunks/x", "/nowhere"] {
        let get = |target: &str, headers: &str| {
            server.raw(&format!("GET {target} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"))
        };
        for host in ["example.org", "localhost.example.org:8080", "127.0.0.1.nip.io", "192.168.1.1"] {
            let (status, response) = get(path, &format!("host: {host}\r\n"));
            assert_eq!(status, 421, "{path} {host}: {response}");
            assert!(response.contains("\"code\":\"wrong_host\"") && response.contains("x-request-id"), "{response}");
        }
        for origin in ["https://example.org", "null", "http://localhost.example.org"] {
            let (status, response) = get(path, &format!("host: localhost\r\norigin: {origin}\r\n"));
            assert_eq!(status, 403, "{path} {origin}: {response}");
        }
        let (status, response) = get(&format!("http://example.org{path}"), "host: localhost\r\n");
        assert_eq!(status, 421, "{response}");
    }
    for host in ["localhost", "LocalHost:1", "127.0.0.1:65535", "[::1]:8080"] {
        let request = format!(
            "GET /healthz HTTP/1.1\r\nconnection: close\r\nhost: {host}\r\norigin: http://localhost:3000\r\n\r\n"
        );
        assert_eq!(server.raw(&request).0, 200, "{host}");
    }
}
