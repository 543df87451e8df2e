"""What an OpenAPI document cannot say of this service, each with its reason; and names of what is there, so that
requests reach more than the door. Nothing else is excused."""

import json
import os
import random
import re
from pathlib import Path

import jsonschema_rs
import schemathesis

REJECTED, ACCEPTED, OTHER_SHAPE, STILL_THERE = "ST202", "ST201", "ST108", "ST301"

# requests that the document allows and the service refuses: where, with which words, and why that is meant
REFUSALS = [
    ("POST /v1/retrieve", r"^query and queries: give one of them|^query: missing, give it or queries",
     "exactly one of two fields that may both be null: a schema says it only in twice as many words"),
    ("POST .*", r"invalid type: floating point `[^`]+`, expected",
     "JSON does not tell 3.0 from 3, the reader of whole numbers does; no client writes the former"),
    ("GET .*", r"number too (large|small) to fit in target type",
     "whole numbers end here where 64 bits do, those of JSON Schema nowhere"),
    (r"GET /v1/chunks/\{id\}", r"^the document of this chunk was (withdrawn|retracted)",
     "410 is a 404 that says why"),
    ("POST /v1/ask", r"^budget\.turns is 0",
     "no turns are enough where `follows` names evidence: a schema does not tie one field to another"),
    ("POST /v1/documents", r"^nothing tells the format: name it",
     "whether a text has one of the formats is for its reader to say"),
    ("POST /v1/(chat/)?completions", r"^Unrecognized request argument supplied",
     "the form is another's and grows: fields that nobody knows yet are refused rather than ignored"),
    ("POST /v1/chat/completions", r"^messages: none is of the user|^messages\[\d+\]\.content: send a text",
     "that one of a list is the user's, and is a text, cannot be said beside what others may hold"),
    ("POST /v1/embeddings", r"^dimensions: vectors of this model have \d+ numbers",
     "the number depends on the encoder that is named"),
    ("POST /mcp", r"^(method|id|params|jsonrpc|name|arguments|cursor|unknown tool|send one message)|mcp-",
     "what params hold depends on the method, and what headers say on both"),
]


def is_stream(response):
    return any("text/event-stream" in value for value in response.headers.get("content-type", []))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    operation = case.operation.label
    if failure.code == STILL_THERE:
        # deleting a job tells it to end; how it ended can still be read, which is what clients wait for
        return operation != "GET /v1/jobs/{id}"
    if failure.code == OTHER_SHAPE:
        # OpenAPI 3.1 has no word for the frame of events: their data is held against the document below
        return not is_stream(response)
    try:
        body = response.json()
    except ValueError:
        return True
    if failure.code == ACCEPTED:
        # of a list of messages, what is wrong with one is told in its place
        return not (operation == "POST /mcp" and isinstance(body, list))
    if failure.code != REJECTED:
        return True
    error = body.get("error")
    message = body.get("message") or (error or {}).get("message", "")
    return not any(re.fullmatch(where, operation) and re.search(words, message) for where, words, _ in REFUSALS)


@schemathesis.check
def data_of_events_is_as_described(ctx, response, case):
    """The data of each event, against the schema of its stream."""
    if not is_stream(response):
        return
    document = case.operation.schema.raw_schema
    answers = document["paths"][case.operation.path][case.operation.method]["responses"]
    schema = answers[str(response.status_code)]["content"]["text/event-stream"]["schema"]
    # in the form of OpenAI, an error ends a stream
    choices = [schema, {"$ref": "#/components/schemas/OpenAiFailure"}]
    validator = jsonschema_rs.Draft202012Validator({"anyOf": choices, "components": document["components"]})
    for line in response.text.split("\n"):
        if line.startswith("data: ") and line != "data: [DONE]":
            data = json.loads(line.removeprefix("data: "))
            fault = next(validator.iter_errors(data), None)
            assert fault is None, f"an event is not as described: {line[:400]}"


def known():
    """Names of what is there, by the route that takes them."""
    folder = Path(os.environ["CONTRACT_KNOWN"])
    read = lambda name: json.loads((folder / name).read_text())
    answer, job = read("answer"), read("job")
    documents = [document["id"] for document in read("documents")["documents"]]
    return {
        "/v1/traces/{id}": [answer["trace_id"]],
        "/v1/chunks/{id}": [citation["chunk"] for citation in answer["citations"]],
        "/v1/snapshots/{id}/use": [answer["snapshot"]],
        "/v1/documents/{id}": documents,
        "/v1/jobs/{id}": [job["id"]],
        "/v1/models/{model}": ["anamnesis", "static"],
        "/v1/runs/{id}": ["toy"],
        "/v1/runs/{id}/episodes": ["toy"],
        "/assets/{name}": ["app.js", "base.css", "icon.svg"],
        "ids": documents,
    }


KNOWN = known()


@schemathesis.hook
def after_call(context, case, response):
    """Erasing is tried too: the newest answers take the place of those that are gone."""
    if case.operation.label == "POST /v1/ask" and response.status_code == 200 and not is_stream(response):
        KNOWN["/v1/traces/{id}"] = [*KNOWN["/v1/traces/{id}"][-9:], response.json()["trace_id"]]


def chance(value):
    """Chance that depends on nothing but what was generated, so that a failure can be played again."""
    return random.Random(repr(value))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every other request of a route with a name in it goes to what is there."""
    names, drawn = KNOWN.get(context.operation.path), chance(path_parameters)
    if path_parameters and names and drawn.random() < 0.5:
        return {name: drawn.choice(names) for name in path_parameters}
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    """Every other body names what is there and asks for what this service does, else answers would hardly ever come
    from behind the door. What is wrong on purpose stays wrong."""
    drawn = chance(body)
    if not isinstance(body, dict) or drawn.random() < 0.5:
        return body
    body, path = dict(body), context.operation.path
    ids = body.get("ids")
    if isinstance(ids, list) and 0 < len(ids) <= 10 and all(isinstance(id, str) and re.match(r"[^:]+:.", id) for id in ids):
        body["ids"] = [drawn.choice(KNOWN["ids"])]
    if isinstance(body.get("follows"), str) and len(body["follows"]) == 26:
        body["follows"] = drawn.choice(KNOWN["/v1/traces/{id}"])
    if path == "/v1/retrieve" and isinstance(body.get("query"), str) and len(body["query"]) < 4_000 and "queries" in body:
        del body["query"]
    if path in ("/v1/chat/completions", "/v1/completions"):
        fields = {"model", "messages", "prompt", "seed", "stream", "stream_options"}
        body = {name: value for name, value in body.items() if name in fields}
        if isinstance(body.get("model"), str):
            body["model"] = "anamnesis"
        if body.get("messages") and isinstance(body["messages"], list):
            body["messages"] = [*body["messages"], {"role": "user", "content": "When is metformin contraindicated?"}]
    if path == "/v1/embeddings" and isinstance(body.get("model"), str):
        body["model"] = "static"
        if isinstance(body.get("dimensions"), int) and body["dimensions"] > 0:
            del body["dimensions"]
    return body
