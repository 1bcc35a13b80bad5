"""A FastMCP server over stdio that uses all that it can ask of its client."""

import asyncio

from fastmcp import Context, FastMCP
from mcp_types import SamplingMessage, TextContent

mcp = FastMCP("asker")
given_up = []


@mcp.tool
async def ask(context: Context) -> str:
    """Reports progress, logs, and asks for a completion, an answer and roots."""
    await context.report_progress(1, 2)
    await context.info("asking")
    question = SamplingMessage(role="user", content=TextContent(type="text", text="?"))
    sampled = await context.session.create_message([question], max_tokens=10)
    elicited = await context.elicit("Who are you?", response_type=str)
    roots = await context.session.list_roots()
    await context.report_progress(2, 2)
    return " | ".join([sampled.content.text, elicited.data, *(str(root.uri) for root in roots.roots)])


@mcp.tool
async def wait(context: Context) -> str:
    """Waits until it is given up."""
    try:
        await context.report_progress(1)
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        given_up.append(True)
        raise
    return "nobody gave it up"


@mcp.tool
def were_given_up() -> int:
    """Tells how many calls were given up."""
    return len(given_up)


@mcp.resource("text://greeting")
def greeting() -> str:
    return "héllo"


if __name__ == "__main__":
    mcp.run(transport="stdio", show_banner=False)
