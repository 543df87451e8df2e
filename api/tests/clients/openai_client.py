"""The service as OpenAI's own client sees it: `openai_client.py URL QUESTION`. Ends with 0 when all of it holds."""

import base64
import math
import struct
import sys

import openai


def check_chat(client, question):
    answer = client.chat.completions.create(
        model="anamnesis",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}],
        temperature=0.2,
        max_tokens=200,
        user="tester",
    )
    message = answer.choices[0].message
    assert message.role == "assistant" and answer.choices[0].finish_reason == "stop", answer
    assert message.annotations, message
    for annotation in message.annotations:
        cited = annotation.url_citation
        label = message.content[cited.start_index : cited.end_index]
        assert label.startswith("[E") and label.endswith("]"), (label, cited)
        assert cited.url and cited.title, cited
    whole = answer.model_extra["anamnesis"]
    assert whole["abstained"] is False and whole["notice"] in message.content, whole
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer._request_id, "the header x-request-id is missing"
    return message


def check_follow_up(client, first, then, expected):
    """A client sends what it was told back; the question goes on from that."""
    messages = [{"role": "user", "content": first}]
    told = client.chat.completions.create(model="anamnesis", messages=messages)
    messages += [told.choices[0].message.model_dump(exclude_none=True), {"role": "user", "content": then}]
    answer = client.chat.completions.create(model="anamnesis", messages=messages)
    assert expected in answer.choices[0].message.content, answer
    assert not answer.model_extra["anamnesis"].get("warnings"), answer
    messages[1]["content"] = "Something else."
    answer = client.chat.completions.create(model="anamnesis", messages=messages)
    assert "only the last question was read" in answer.choices[0].message.content, answer


def check_stream(client, question, message):
    text, annotations, reasons, usage, whole = "", [], [], None, None
    with client.chat.completions.create(
        model="anamnesis",
        messages=[{"role": "user", "content": [{"type": "text", "text": question}]}],
        stream=True,
        stream_options={"include_usage": True},
    ) as chunks:
        for number, chunk in enumerate(chunks):
            if not chunk.choices:
                usage = chunk.usage
                continue
            choice = chunk.choices[0]
            assert (choice.delta.role == "assistant") == (number == 0), chunk
            text += choice.delta.content or ""
            annotations += (choice.delta.model_extra or {}).get("annotations", [])
            reasons += [choice.finish_reason] if choice.finish_reason else []
            whole = (chunk.model_extra or {}).get("anamnesis", whole)
    assert text == message.content, (text, message.content)
    assert annotations == [annotation.model_dump() for annotation in message.annotations], annotations
    assert reasons == ["stop"] and usage.total_tokens > 0 and whole["trace_id"], (reasons, usage, whole)


def check_completions(client, question):
    answer = client.completions.create(model="anamnesis", prompt=question)
    assert "[E1]" in answer.choices[0].text and answer.choices[0].finish_reason == "stop", answer
    parts = client.completions.create(model="anamnesis", prompt=question, stream=True)
    text = "".join(part.choices[0].text for part in parts)
    assert text == answer.choices[0].text, text


def check_embeddings(client):
    texts = ["heart attack", "myocardial infarction", "knee replacement"]
    vectors = [one.embedding for one in client.embeddings.create(model="static", input=texts).data]
    assert all(abs(math.sqrt(sum(x * x for x in vector)) - 1) < 1e-3 for vector in vectors)
    near = lambda a, b: sum(x * y for x, y in zip(vectors[a], vectors[b]))
    assert near(0, 1) > near(0, 2), "like texts lie apart"
    floats = client.embeddings.create(model="static", input=texts[0], encoding_format="float").data[0].embedding
    raw = client.embeddings.with_raw_response.create(model="static", input=texts[0], encoding_format="base64")
    coded = raw.http_response.json()["data"][0]["embedding"]
    decoded = struct.unpack(f"<{len(floats)}f", base64.b64decode(coded))
    assert all(abs(a - b) < 1e-6 for a, b in zip(floats, decoded)) and len(floats) == len(vectors[0])


def refused(error, param, call):
    try:
        call()
    except error as refusal:
        assert refusal.param == param and refusal.message, refusal.body
        return
    raise AssertionError(f"{param} was not refused")


def check_refusals(client, question):
    ask = lambda **more: client.chat.completions.create(
        **{"model": "anamnesis", "messages": [{"role": "user", "content": question}], **more}
    )
    tool = {"type": "function", "function": {"name": "set_filter", "parameters": {}}}
    refused(openai.BadRequestError, "n", lambda: ask(n=2))
    refused(openai.BadRequestError, "tools", lambda: ask(tools=[tool]))
    refused(openai.BadRequestError, "logprobs", lambda: ask(logprobs=True))
    refused(openai.BadRequestError, "budget", lambda: ask(extra_body={"budget": {"turns": 16}}))
    refused(openai.NotFoundError, "model", lambda: ask(model="gpt-4o"))
    refused(openai.BadRequestError, "input", lambda: client.embeddings.create(model="static", input=[1, 2, 3]))


def main(url, question):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    names = [model.id for model in client.models.list()]
    assert names[0] == "anamnesis" and "static" in names, names
    assert client.models.retrieve("anamnesis").id == "anamnesis"
    check_stream(client, question, check_chat(client, question))
    check_follow_up(client, "Which drug is first-line for type 2 diabetes?", "When must it be avoided?", "acidosis")
    check_completions(client, question)
    check_embeddings(client)
    check_refusals(client, question)
    print("openai", openai.__version__, "agrees")


main(*sys.argv[1:])
