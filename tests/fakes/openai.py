"""An OpenAI-compatible server on this machine, over a real socket: chat completions, models, and vLLM's LoRAs.

It answers with the words of the last message, and does what `script` says first: fail, break off, hold its tongue.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass
class Act:
    """One answer to a chat. Default: says `words`, or what it heard, and ends as it should.

    `status` of 400 and above answers `body` with `headers` instead. `hold`: after so many words it waits until
    `let_go` (or the client leaves). `end`: done, silent (no end), dies (in mid stream), quiet (no finish).
    `raw` is sent as it is, after the words.
    """

    words: tuple[str, ...] = ()
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: int = -1
    raw: str = ""
    end: str = "done"
    finish: str = "stop"
    usage: Body | None = None


@dataclass
class Heard:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Body


class Fake:
    """The server. Set what it should be like; look at what it heard."""

    def __init__(self) -> None:
        self.models: list[Body] | None = [{"id": "tiny", "object": "model", "owned_by": "fake", "max_model_len": 2048}]
        self.key = ""
        self.refuses: set[str] = set()  # fields of a chat that it does not know
        self.takes_loras = False
        self.forbids: set[str] = set()  # paths that nobody may call
        self.knows_inplace = True
        self.bad_loras: dict[str, tuple[int, str]] = {}  # path → how it is refused
        self.loras: dict[str, str] = {}  # name → path
        self.script: deque[Act] = deque()
        self.default = Act()
        self.heard: list[Heard] = []
        self.left: list[Body] = []  # chats whose client went away in mid stream
        self.open = self.most_open = self.connections = 0
        self.url = ""
        self._let_go = threading.Event()

    def let_go(self) -> None:
        """Those who hold their tongue go on."""
        self._let_go.set()

    def chats(self) -> list[Body]:
        """What was asked to be completed."""
        return [heard.body for heard in self.heard if heard.path.endswith("/chat/completions")]

    def paths(self) -> list[str]:
        """What was called, in order, without `/v1`."""
        return [heard.path.removeprefix("/v1") for heard in self.heard]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as it lives."""
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    heard = await _request(reader)
                    self.heard.append(heard)
                    if not await self._answer(heard, reader, writer):
                        break
        finally:
            writer.close()

    async def _answer(self, heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer; whether the connection may go on."""
        if self.key and heard.headers.get("authorization") != f"Bearer {self.key}":
            return await _send(writer, 401, _error("Incorrect API key provided", "invalid_api_key"))
        route = (heard.method, heard.path.removeprefix("/v1"))
        if route[1] in self.forbids:
            return await _send(writer, 403, "Forbidden")
        if route == ("GET", "/models"):
            return await _send(writer, 200, {"object": "list", "data": self._listed()})
        if route == ("POST", "/chat/completions"):
            return await self._chat(heard.body, reader, writer)
        if self.takes_loras and route == ("POST", "/load_lora_adapter"):
            return await _send(writer, *self._load(heard.body))
        if self.takes_loras and route == ("POST", "/unload_lora_adapter"):
            gone = self.loras.pop(heard.body["lora_name"], None)
            return await _send(writer, *((200, "Success") if gone else (404, _error("cannot be found", "NotFound"))))
        return await _send(writer, 404, {"detail": "Not Found"})

    def _listed(self) -> list[Body] | None:
        if not self.models:
            return self.models
        base = self.models[0]["id"]
        return [*self.models, *({"id": name, "root": path, "parent": base} for name, path in self.loras.items())]

    def _load(self, body: Body) -> tuple[int, Any]:
        name, path = body.get("lora_name"), body.get("lora_path")
        if not name or not path:
            return 400, _error("Both 'lora_name' and 'lora_path' must be provided.", "InvalidUserInput")
        if "load_inplace" in body and not self.knows_inplace:
            return 422, {"detail": [{"loc": ["body", "load_inplace"], "msg": "Extra inputs are not permitted"}]}
        if name in self.loras and not body.get("load_inplace"):
            return 400, _error(f"The lora adapter '{name}' has already been loaded.", "InvalidUserInput")
        if path in self.bad_loras:
            status, said = self.bad_loras[path]
            return status, _error(said, "BadRequestError")
        self.loras[name] = path
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    async def _chat(self, body: Body, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if unknown := sorted(self.refuses & set(body)):
            said = f"Unrecognized request argument supplied: {unknown[0]}"
            return await _send(writer, 400, _error(said, "invalid_request_error"))
        act = self.script.popleft() if self.script else self.default
        if act.status >= 400:
            return await _send(writer, act.status, act.body or _error("no", "some_error"), act.headers)
        known = {model["id"] for model in self.models or []} | set(self.loras)
        if body["model"] not in known:
            said = f"The model `{body['model']}` does not exist."
            return await _send(writer, 404, _error(said, "NotFoundError"))
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            return await self._stream(act, body, reader, writer)
        finally:
            self.open -= 1

    async def _stream(self, act: Act, body: Body, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        gone = asyncio.create_task(reader.read(1))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number, word in enumerate(act.words or _echo(body)):
            if number == act.hold and not await self._allowed(gone):
                self.left.append(body)
                return False
            _event(writer, {"choices": [{"delta": {"content": word}, "finish_reason": None}]})
            await writer.drain()
        _chunk(writer, act.raw.encode()) if act.raw else None
        if act.end == "silent":
            await gone
            self.left.append(body)
            return False
        if act.end == "dies":
            await writer.drain()
            gone.cancel()
            return False
        gone.cancel()  # before the end: what comes after it is the next request
        await asyncio.wait([gone])
        self._finish(act, body, writer)
        await writer.drain()
        return True

    def _finish(self, act: Act, body: Body, writer: asyncio.StreamWriter) -> None:
        if act.end == "done":
            _event(writer, {"choices": [{"delta": {}, "finish_reason": act.finish}]})
            if body.get("stream_options") and act.usage:
                _event(writer, {"choices": [], "usage": act.usage})
            _chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")

    async def _allowed(self, gone: "asyncio.Task[bytes]") -> bool:
        """Wait for `let_go`. False if the client left first."""
        while not self._let_go.is_set():
            if gone.done():
                return False
            await asyncio.sleep(0.005)
        return True


async def _request(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    data = await reader.readexactly(int(headers.get("content-length", 0)))
    return Heard(method, path, headers, json.loads(data) if data else {})


async def _send(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None) -> bool:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    fields = {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} So", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + data)
    await writer.drain()
    return True


def _echo(body: Body) -> list[str]:
    """`MODEL heard: the last message`, a word at a time."""
    first, *words = f"{body['model']} heard: {body['messages'][-1]['content']}".split(" ")
    return [first, *(f" {word}" for word in words)]


def _event(writer: asyncio.StreamWriter, value: Body) -> None:
    _chunk(writer, b"data: " + json.dumps(value).encode() + b"\n\n")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _error(message: str, kind: str) -> Body:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


@contextmanager
def fake(port: int = 0) -> Iterator[Fake]:
    """A server that serves until the block ends."""
    it, loop, ready = Fake(), asyncio.new_event_loop(), threading.Event()
    ending = asyncio.Event()

    async def live() -> None:
        server = await asyncio.start_server(it.serve, "127.0.0.1", port)
        it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await ending.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # its sockets are closed in the loop's next turn

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    try:
        assert ready.wait(10)
        yield it
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
        loop.close()
