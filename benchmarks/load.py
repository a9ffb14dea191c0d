"""A load generator: kept connections, each of which asks, waits and asks again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from .processes import serve


def run(
    port: int, requests: list[tuple[str, str]], connections: int, seconds: float
) -> dict[str, Any]:
    """Send requests, each an (address, cookie), until all are sent or the time is up.

    Return what was answered, and seconds that it took in all and for each.
    """
    return asyncio.run(_run(port, requests, connections, seconds))


async def _run(
    port: int, requests: list[tuple[str, str]], connections: int, seconds: float
) -> dict[str, Any]:
    answers: list[tuple[int, int, str, str, float]] = []
    waiting = iter(enumerate(requests))
    started = time.perf_counter()
    ends = started + seconds
    await asyncio.gather(*(_ask(port, waiting, ends, answers) for _ in range(connections)))
    return {"seconds": time.perf_counter() - started, "answers": answers}


async def _ask(
    port: int,
    waiting: Iterator[tuple[int, tuple[str, str]]],
    ends: float,
    answers: list[tuple[int, int, str, str, float]],
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for index, (address, cookie) in waiting:
        started = time.perf_counter()
        cookies = f"Cookie: {cookie}\r\n" if cookie else ""
        writer.write(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{cookies}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = _headers(head)
        await reader.readexactly(int(headers.get("content-length", 0)))
        taken = time.perf_counter() - started
        answers.append(
            (
                index,
                int(head.split(" ", 2)[1]),
                headers.get("location", ""),
                headers.get("set-cookie", "").split(";", 1)[0],
                taken,
            )
        )
        if headers.get("connection", "").lower() == "close":
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if time.perf_counter() > ends:
            break
    writer.close()


def _headers(head: str) -> dict[str, str]:
    lines = head.split("\r\n")[1:]
    return {
        name.lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines)
        if colon
    }


if __name__ == "__main__":
    serve(run)
