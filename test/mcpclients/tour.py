"""Takes FastMCP's client on a tour through the reference server at a URL, and
prints what it got, as JSON."""

import asyncio
import json
import sys

import mcp_types
from fastmcp import Client
from fastmcp.client.transports import SSETransport, StreamableHttpTransport

URL, TRANSPORT, MODE = sys.argv[1:4]
GREETING, SAMPLED, ELICITED, ROOT, RESOURCE = json.loads(sys.argv[4])
CONDITIONAL = ["echo", "trigger-elicitation-request", "trigger-sampling-request"]

logs: asyncio.Queue = asyncio.Queue()
updates: asyncio.Queue = asyncio.Queue()


async def answer_sampling(messages, params, context):
    return SAMPLED


async def answer_elicitation(message, response_type, params, context):
    return {"name": ELICITED}


async def hear_log(message):
    if "level" in str(message.data):
        await logs.put("level")


async def hear(message):
    root = getattr(message, "root", message)
    if isinstance(root, mcp_types.ResourceUpdatedNotification):
        await updates.put(str(root.params.uri))


def text(result):
    return "\n".join(c.text for c in result.content if c.type == "text")


def excerpt(whole, want):
    return want if want in whole else repr(whole)


async def long(client, steps, seconds):
    """Calls a tool that tells how far it is."""
    seen = []

    async def progress(value, total, message):
        seen.append(f"{value:g}/{total:g}")

    arguments = {"duration": seconds, "steps": steps}
    result = await client.call_tool("trigger-long-running-operation", arguments, progress_handler=progress)
    return " ".join([*seen, excerpt(text(result), "completed")])


async def echo(client):
    return text(await client.call_tool("echo", {"message": GREETING}))


async def cancel(client):
    """Gives up a call when it has begun."""
    begun = asyncio.Event()

    async def progress(value, total, message):
        begun.set()

    arguments = {"duration": 100, "steps": 1000}
    call = asyncio.create_task(client.call_tool("trigger-long-running-operation", arguments, progress_handler=progress))
    await begun.wait()
    call.cancel()
    try:
        await call
    except asyncio.CancelledError:
        return "given up, and " + await echo(client)
    return "it came to its end"


async def log(client):
    modern = client.protocol_version >= "2026-07-28"
    if not modern:
        await client.set_logging_level("debug")
    meta = {"io.modelcontextprotocol/logLevel": "debug"} if modern else None
    await client.call_tool("toggle-simulated-logging", meta=meta)
    return await logs.get()


async def update(client):
    await client.session.subscribe_resource(RESOURCE)
    await client.call_tool("toggle-subscriber-updates")
    return await updates.get()


async def tour(client):
    names = sorted(t.name for t in await client.list_tools())
    yield "tools", " ".join(n for n in names if n in CONDITIONAL)
    yield "call", await echo(client)
    yield "progress", await long(client, 3, 0.3)
    contents = await client.read_resource(RESOURCE)
    yield "resource", excerpt(contents[0].text, "Resource 1: This is a plaintext resource")
    yield "prompt", (await client.get_prompt("simple-prompt")).messages[0].content.text
    yield "sampling", excerpt(text(await client.call_tool("trigger-sampling-request", {"prompt": "?"})), SAMPLED)
    yield "elicitation", excerpt(text(await client.call_tool("trigger-elicitation-request")), ELICITED)
    yield "roots", excerpt(text(await client.call_tool("get-roots-list")), ROOT)
    yield "log", await log(client)
    yield "cancel", await cancel(client)
    if client.protocol_version < "2026-07-28":
        yield "update", await update(client)
        if TRANSPORT == "http":
            yield "resume", await long(client, 4, 1)


async def main():
    transport = (SSETransport if TRANSPORT == "sse" else StreamableHttpTransport)(URL)
    client = Client(
        transport, mode=MODE, roots=[ROOT], sampling_handler=answer_sampling,
        elicitation_handler=answer_elicitation, log_handler=hear_log, message_handler=hear,
    )
    seen = {}
    try:
        async with client:
            async for feature, got in tour(client):
                seen[feature] = got
    finally:
        print(json.dumps(seen))


asyncio.run(main())
