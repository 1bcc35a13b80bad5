"""A FastMCP server of the usual kind: two tools, a health check, and its
address from the environment."""

import os
import platform

from fastmcp import FastMCP
from starlette.requests import Request
from starlette.responses import PlainTextResponse

mcp = FastMCP("calculator")


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@mcp.tool
def python_version() -> str:
    """Tells which Python this server runs on."""
    return platform.python_version()


@mcp.custom_route("/health", methods=["GET"])
async def health(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


if __name__ == "__main__":
    transport = os.environ["MCP_TRANSPORT"]
    if transport == "stdio":
        mcp.run(transport)
    else:
        mcp.run(
            transport,
            host=os.environ["HOST"],
            port=int(os.environ["PORT"]),
            path=os.environ["MCP_PATH"],
        )
