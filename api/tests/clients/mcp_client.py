"""The service as the protocol's own client sees it: `mcp_client.py URL QUESTION COMMAND ARGUMENT...`.

Over HTTP and over the standard streams of COMMAND, by the newest revision and by those that begin with a handshake.
Ends with 0 when all of it holds.
"""

import asyncio
import sys

from mcp import Client, StdioServerParameters


async def check(server, mode, question):
    async with Client(server, mode=mode) as client:
        newest = client.protocol_version == "2026-07-28"
        assert newest == (mode == "auto"), client.protocol_version
        assert client.server_info.name == "anamnesis"
        assert "no medical advice" in client.instructions
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == ["ask", "search", "get_document"], tools
        for tool in tools:
            assert tool.annotations.read_only_hint and tool.input_schema["type"] == "object", tool
            assert tool.output_schema["type"] == "object", tool

        steps = []

        async def hear(progress, total, message):
            steps.append((progress, message))

        # the client holds structured content against the output schema by itself
        answer = await client.call_tool("ask", {"question": question}, progress_callback=hear)
        assert not answer.is_error, answer
        assert answer.structured_content["abstained"] is False
        assert "[E1]" in answer.content[0].text and "References" in answer.content[0].text, answer.content
        numbers = [progress for progress, _ in steps]
        assert numbers and numbers == sorted(set(numbers)), steps

        found = await client.call_tool("search", {"query": "metformin", "k": 2})
        hit = found.structured_content["hits"][0]
        document = await client.call_tool("get_document", {"id": hit["document"]})
        assert hit["title"] == document.structured_content["title"], document

        failed = await client.call_tool("ask", {"question": " "})
        assert failed.is_error and "question" in failed.content[0].text, failed
        try:
            await client.call_tool("set_filter", {})
        except Exception as refusal:
            assert "unknown tool" in str(refusal), refusal
        else:
            raise AssertionError("a tool that is not there was called")


async def main(url, question, command, *arguments):
    stdio = StdioServerParameters(command=command, args=list(arguments))
    for server in (f"{url}/mcp", stdio):
        for mode in ("auto", "legacy"):
            await check(server, mode, question)
    print("mcp agrees")


asyncio.run(main(*sys.argv[1:]))
