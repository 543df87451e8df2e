//! Server-sent events, line by line, as servers really write them.

/// Gathers the data of one event after the other.
#[derive(Debug, Default)]
pub(super) struct Sse {
    data: String,
    /// Lines that it came in.
    lines: usize,
    /// Everything, while no line has been one of an event: a server that does not stream answers so.
    plain: String,
    streaming: bool,
}

impl Sse {
    /// Takes one line, with or without its end; gives the data of the event it completes.
    ///
    /// `data:` may lack its blank; comments, other fields and broken UTF-8 are tolerated. The next
    /// `data:` line ends an event that is already whole, since some servers leave out the blank line.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<String> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if let Some(data) = line.strip_prefix("data:") {
            self.streaming = true;
            let data = data.strip_prefix(' ').unwrap_or(data);
            // such servers write an event in one line: looking at longer ones again with each line takes
            // time that grows with their square
            let before = if self.lines == 1 && is_whole(&self.data) { self.end() } else { None };
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.lines += usize::from(!data.is_empty());
            self.data.push_str(data);
            return before;
        }
        if line.is_empty() {
            return self.end();
        }
        if !self.streaming && !line.starts_with(':') {
            self.plain.push_str(line);
            self.plain.push('\n');
        }
        None
    }

    /// The data gathered so far, now that the event is over.
    pub(super) fn end(&mut self) -> Option<String> {
        self.lines = 0;
        (!self.data.is_empty()).then(|| std::mem::take(&mut self.data))
    }

    /// The whole body of a reply that was no stream.
    pub(super) fn plain(&self) -> Option<&str> {
        (!self.streaming && !self.plain.trim().is_empty()).then_some(self.plain.trim())
    }
}

fn is_whole(data: &str) -> bool {
    !data.is_empty() && (data == "[DONE]" || serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(body: &str) -> Vec<String> {
        let mut sse = Sse::default();
        let mut events: Vec<_> = body.split_inclusive('\n').filter_map(|line| sse.line(line.as_bytes())).collect();
        events.extend(sse.end());
        events
    }

    #[test]
    fn reads_what_servers_write() {
        assert_eq!(
            events("data: {\"a\":1}\r\n\r\ndata:{\"b\":2}\n\n: ping\n\ndata: [DONE]\n\n"),
            ["{\"a\":1}", "{\"b\":2}", "[DONE]"]
        );
        assert_eq!(events("event: x\nid: 1\ndata: {\ndata: }\n\n"), ["{\n}"], "one event over two lines");
        assert_eq!(events("data: {}\ndata: [DONE]"), ["{}", "[DONE]"], "no blank lines, no last end");
        assert_eq!(events("data:\ndata: {}\ndata: {\ndata: }\n\ndata: {}\ndata: 1"), ["{}", "{\n}", "{}", "1"]);
        assert_eq!(events("data: oops\n\ndata: {}\n\n"), ["oops", "{}"]);
        assert_eq!(events(""), Vec::<String>::new());
    }

    #[test]
    fn a_body_that_is_no_stream_is_kept_whole() {
        let mut sse = Sse::default();
        assert_eq!(sse.line(b"{\"choices\":\n"), None);
        assert_eq!(sse.line(b"[]}"), None);
        assert_eq!(sse.plain(), Some("{\"choices\":\n[]}"));
    }
}
