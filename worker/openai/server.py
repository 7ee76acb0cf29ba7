"""An OpenAI-compatible server over HTTP: its models, one streamed chat, and vLLM's LoRAs. Raises Trouble, no other.

The key goes into one header and nowhere else. Knows nothing of requests, retries and prompts.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from core.config import Secret
from core.errors import ConfigError
from core.settings import masked
from worker.openai.trouble import NO_PATH, NO_SERVER, Trouble, complaint, refusal

TAIL = 0.1  # seconds to let a finished stream end by itself: then its connection serves the next reply
DEAR = 16_384  # bytes of a complaint that are read

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would tell each request
logging.getLogger("httpcore2").setLevel(logging.WARNING)


class _Meta(msgspec.Struct, frozen=True):
    n_ctx: int | None = None


class Model(msgspec.Struct, frozen=True):
    """A model as servers list it: vLLM names `root`, `parent` (of a LoRA) and `max_model_len`, llama.cpp `meta`."""

    id: str
    root: str | None = None
    parent: str | None = None
    owned_by: str | None = None
    max_model_len: int | None = None
    context_window: int | None = None
    context_length: int | None = None
    meta: _Meta | None = None

    @property
    def context(self) -> int:
        """Tokens of prompt and reply; 0 where the server does not say."""
        own = self.meta.n_ctx if self.meta else None
        return self.max_model_len or own or self.context_window or self.context_length or 0


class Delta(msgspec.Struct, frozen=True):
    """What one event of a stream brings. `prompt` and `reply` are counts of tokens, told once or never."""

    text: str = ""
    finish: str = ""
    prompt: int = 0
    reply: int = 0


class _Words(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Words | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: msgspec.Raw | None = None


class _Listing(msgspec.Struct, frozen=True):
    data: list[Model] | None = None  # null: Ollama without a model


class Server:
    """The server at `base_url`. `timeout`: seconds of silence after which it is given up."""

    def __init__(self, base_url: str, key: Secret | None = None, timeout: float = 60.0) -> None:
        self._base, self._timeout = base_url.rstrip("/"), timeout
        self.where = masked(self._base)
        self._client = httpx2.AsyncClient(
            headers=_headers(key), trust_env=not _is_here(base_url),  # no proxy stands before this machine
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0), pool=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=32),
        )  # fmt: skip

    async def close(self) -> None:
        """Let its connections go."""
        await self._client.aclose()

    async def models(self) -> list[Model]:
        """What it lists, LoRAs among them."""
        body = await self._ask("GET", "/models")
        try:
            return msgspec.json.decode(body, type=_Listing).data or []
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Trouble(f"{self.where}/models lists no models ({error})", NO_PATH) from error

    async def talk(self, body: Mapping[str, Any]) -> AsyncGenerator[Delta, None]:
        """A streamed chat completion. Close the generator, and the server stops generating."""
        with self._translated():
            address = f"{self._base}/chat/completions"
            async with self._client.stream("POST", address, json=body) as response:
                await self._check(response)
                events = aiter(httpx2.EventSource(response))
                async for event in events:
                    if event.data.strip() == "[DONE]":
                        await _let_end(events)
                        return
                    if event.data:
                        yield self._delta(event.data)

    async def takes_loras(self) -> bool:
        """Would it load LoRAs at runtime? Asked without a name, so that nothing is loaded."""
        try:
            await self._ask("POST", "/load_lora_adapter", {})
        except Trouble as trouble:
            if trouble.status not in (400, 422, 403, 404, 405, 501):  # 403: somebody keeps LoRAs from being loaded
                raise
            return trouble.status in (400, 422)
        return False  # whoever says yes to nothing understands nothing of it

    async def load(self, name: str, path: str, inplace: bool = False) -> None:
        """Load the LoRA in the folder `path` as the model `name`; `inplace`: instead of the one of that name."""
        replacing = {"load_inplace": True} if inplace else {}
        await self._ask("POST", "/load_lora_adapter", {"lora_name": name, "lora_path": path, **replacing})

    async def unload(self, name: str) -> None:
        """Let a LoRA go."""
        await self._ask("POST", "/unload_lora_adapter", {"lora_name": name})

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        with self._translated():
            async with self._client.stream(method, self._base + path, json=body) as response:
                await self._check(response)
                return await response.aread()

    async def _check(self, response: httpx2.Response) -> None:
        if response.status_code >= 300:
            said = b""
            async for part in response.aiter_bytes():
                said += part
                if len(said) > DEAR:
                    break
            raise refusal(self.where, response.status_code, said, response.headers.get("retry-after", ""))

    def _delta(self, data: str) -> Delta:
        """An event's data, read."""
        try:
            event = msgspec.json.decode(data, type=_Event)
        except msgspec.DecodeError as error:
            said = f"{self.where} sent something that is no event of a chat ({error})"
            raise Trouble(said, "look at the server's log", again=True) from error
        if event.error is not None and bytes(event.error) != b"null":
            raise self._broken(data)
        choice = event.choices[0] if event.choices else _Choice()
        usage = event.usage or _Usage()
        text = choice.delta.content if choice.delta else None
        counts = usage.prompt_tokens or 0, usage.completion_tokens or 0
        return Delta(text or "", choice.finish_reason or "", *counts)

    def _broken(self, data: str) -> Trouble:
        """An error that came in the stream, when the status had been sent already."""
        said = complaint(data.encode())
        status = next((int(name) for name in said.names if name.isdigit()), 400 if said.too_long else 500)
        return refusal(self.where, status, data.encode())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """httpx's errors as ours."""
        try:
            yield
        except (httpx2.ReadTimeout, httpx2.WriteTimeout) as error:
            step = "look at the server's log, or raise openai.timeout_seconds"
            raise Trouble(f"{self.where} was silent for {self._timeout:g} s", step) from error
        except httpx2.SSEError as error:
            raise Trouble(f"{self.where} does not stream ({error})", NO_PATH) from error
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Trouble(f"{self.where} cannot be reached ({reason})", NO_SERVER, again=True) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Trouble(f"{self.where} cannot be asked ({error})", NO_SERVER) from error


async def _let_end(events: AsyncIterator[Any]) -> None:
    """Read to the end of a stream in which all has been said. However it ends, nothing is missing."""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(TAIL):
            async for _ in events:
                pass


def _headers(key: Secret | None) -> dict[str, str]:
    if key is None:
        return {}
    if not key.reveal().isascii() or not key.reveal().isprintable():
        raise ConfigError("OPENAI_API_KEY holds characters that no key has", "copy it once more")
    return {"Authorization": f"Bearer {key.reveal()}"}


def _is_here(base_url: str) -> bool:
    """Is this machine's own address meant?"""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
