"""The stages of `tests/fakes/stage.py`: a room and two DMs on Discord, on Slack and on Telegram of our own.

What a platform needs is imported when its stage is asked for.
"""

from collections.abc import Callable
from typing import Any

from emoji import demojize

from bots.platforms import Bot
from core.commands.answers import below
from core.settings import Settings
from tests.fakes.stage import ANN, BOB, Sent


class AtDiscord:
    """A server, a channel, a DM of Tom's (Ann) and of Ann's (Bob)."""

    def __init__(self, fake: Any) -> None:
        from tests.fakes import discord as d

        self.fake, self._d = fake, d
        self._who = {ANN: d.TOM, BOB: d.ANN}
        self.people = {name: f"discord:{user['id']}" for name, user in self._who.items()}
        self.account = f"discord:{d.ME}"
        self._asked: list[tuple[str, str]] = []  # (who, token)

    def bot(self, settings: Settings) -> Bot:
        from adapters.discord.client import Discord

        roles = frozenset(settings.discord.operator_roles.split())
        it = Discord(
            self._d.TOKEN, api_base=self.fake.url, gateway_url=self.fake.gateway, operator_roles=roles,
            cards=lambda: ["mira", "orrin"], below=lambda done: below(done, settings.buttons),
        )  # fmt: skip
        return Bot(it, it.stop, it.close)

    def _where(self, dm: bool) -> str:
        return str(self._d.DM if dm else self._d.CHANNEL)

    def say(self, text: str, who: str = ANN, dm: bool = False, **more: Any) -> str:
        call = "" if dm else f"<@{self._d.ME}> "
        return str(self.fake.say(call + text, self._where(dm), self._who[who], **more))

    def send(self, text: str, *files: Sent, who: str = ANN, dm: bool = False) -> str:
        told = [
            {"id": str(at), "filename": one.name, "size": one.told, "content_type": one.media_type, "proxy_url": "p",
             "url": self.fake.attachment(one.name, one.content)}
            for at, one in enumerate(files)
        ]  # fmt: skip
        return self.say(text, who, dm, attachments=told)

    def command(self, text: str, who: str = ANN, dm: bool = False) -> None:
        name, *words = text.split()
        options: dict[str, Any] = {f"option{at}": word for at, word in enumerate(words)}
        self._asked.append((who, self.fake.command(name, self._where(dm), self._who[who], **options)))

    def press(self, label: str, who: str = ANN, dm: bool = False) -> None:
        bodies = [body for of, token in self._asked if of == who for body in self.fake.responses[token]]
        bodies = [*self.fake.ours(self._where(dm)), *bodies]
        rows = [(body, row) for body in bodies for row in body.get("components") or ()]
        body, custom_id = [
            (b, one["custom_id"]) for b, row in rows for one in row["components"] if one["label"] == label
        ][-1]
        self._asked.append((who, self.fake.press(custom_id, self._where(dm), self._who[who], body)))

    def labels(self, who: str = ANN, dm: bool = False) -> list[str]:
        bodies = [body for of, token in self._asked if of == who for body in self.fake.responses[token]]
        bodies = [*self.fake.ours(self._where(dm)), *bodies]
        return [one["label"] for b in bodies for row in b.get("components") or () for one in row["components"]]

    def react(self, message: str, emoji: str, who: str = ANN, removed: bool = False) -> None:
        self.fake.react(message, emoji, by=self._who[who], removed=removed)

    def rival(self, text: str) -> str:
        return str(self.fake.say(text, author=self._d.OTHER_BOT))

    def ours(self) -> list[str]:
        return [message["id"] for message in self.fake.ours()]

    def unsay(self, message: str) -> None:
        self.fake.delete(message)

    def close_room(self) -> None:
        self.fake.remove_channel(self._d.CHANNEL)

    def hush(self) -> None:
        for method in ("POST", "PATCH", "PUT"):
            self.fake.fail(method, f"/channels/{self._d.CHANNEL}/", 403, times=1_000, code=50013)

    def rename(self, who: str, name: str) -> None:
        self._who[who] = {**self._who[who], "global_name": name}

    def promote(self, who: str) -> None:
        self.fake.rights[self._who[who]["id"]] = 1 << 5

    def room(self, dm: bool = False) -> list[str]:
        return list(self.fake.shown(self._where(dm)))

    def alone(self, who: str = ANN) -> list[str]:
        return [body["content"] for of, token in self._asked if of == who for body in self.fake.responses[token]]

    def listens(self) -> bool:
        return any(session.out for session in self.fake.sessions.values())

    def given(self) -> dict[str, bytes]:
        return dict(self.fake.files)

    async def wait(self, holds: Callable[[], Any]) -> Any:
        await self.fake.wait(holds)
        return holds()


class AtTelegram:
    """A group, and a private chat of each."""

    def __init__(self, fake: Any) -> None:
        from tests.fakes import telegram as t

        self.fake, self._t = fake, t
        self._who = {ANN: t.ANN, BOB: t.BOB}
        self._dms = {ANN: t.DM, BOB: {"id": t.BOB["id"], "type": "private", "first_name": "Bob"}}
        fake.chats[t.BOB["id"]] = self._dms[BOB]
        self.people = {name: f"telegram:{user['id']}" for name, user in self._who.items()}
        self.account = f"telegram:{t.ME['id']}"
        fake.wants = {"message", "edited_message", "callback_query", "message_reaction", "my_chat_member"}

    def bot(self, settings: Settings) -> Bot:
        from adapters.telegram.client import Telegram
        from adapters.telegram.pace import Pace, Rate

        quick = Rate(tokens=1000, every=0.001, gap=0.0)
        it = Telegram(
            self._t.TOKEN, self.fake.url, pace=Pace(quick, quick, quick), poll=5,
            below=lambda done: below(done, settings.buttons),
        )  # fmt: skip
        return Bot(it, it.stop, it.close)

    def _where(self, who: str, dm: bool) -> Any:
        return self._dms[who] if dm else self._t.GROUP

    def say(self, text: str, who: str = ANN, dm: bool = False, **more: Any) -> str:
        if not dm:
            entities = "caption_entities" if "document" in more or "photo" in more else "entities"
            more[entities] = [{"type": "mention", "offset": 0, "length": 8}]
            text = f"@MiraBot {text}"
        if "caption_entities" in more or "document" in more or "photo" in more:
            more["caption"], text = text, ""
        return str(self.fake.say(text, self._who[who], self._where(who, dm), **more))

    def send(self, text: str, *files: Sent, who: str = ANN, dm: bool = False) -> str:
        (one,) = files
        self.fake.uploads[one.name] = one.content
        told = {"file_id": one.name, "file_unique_id": "u", "file_size": one.told, "file_name": one.name}
        if one.media_type.startswith("image/"):
            del told["file_name"]
            return self.say(text, who, dm, photo=[{**told, "width": 9, "height": 9}])
        return self.say(text, who, dm, document={**told, "mime_type": one.media_type})

    def command(self, text: str, who: str = ANN, dm: bool = False) -> None:
        self.fake.say(f"/{text}", self._who[who], self._where(who, dm))

    def press(self, label: str, who: str = ANN, dm: bool = False) -> None:
        self.fake.press(label, self._who[who], self._where(who, dm))

    def labels(self, who: str = ANN, dm: bool = False) -> list[str]:
        marked = [one.get("reply_markup", {}) for one in self.fake.ours(self._where(who, dm))]
        return [one["text"] for markup in marked for row in markup.get("inline_keyboard", ()) for one in row]

    def react(self, message: str, emoji: str, who: str = ANN, removed: bool = False) -> None:
        self.fake.react(int(message), *([] if removed else [emoji]), who=self._who[who], chat=self._t.GROUP)

    def rival(self, text: str) -> str:
        return str(self.fake.say(text, {**self._t.ME, "id": 99, "username": "RivalBot"}, self._t.GROUP))

    def ours(self) -> list[str]:
        return [str(message["message_id"]) for message in self.fake.ours(self._t.GROUP)]

    def unsay(self, message: str) -> None:
        self.fake.delete(int(message), self._t.GROUP)

    def close_room(self) -> None:
        del self.fake.chats[self._t.GROUP["id"]]

    def hush(self) -> None:
        self.fake.hushed.add(self._t.GROUP["id"])

    def rename(self, who: str, name: str) -> None:
        self._who[who] = {**self._who[who], "first_name": name}

    def promote(self, who: str) -> None:
        self.fake.admins.add(self._who[who]["id"])

    def room(self, dm: bool = False) -> list[str]:
        return list(self.fake.shown(self._where(ANN, dm)))

    def alone(self, who: str = ANN) -> list[str]:
        """In a group there is no such thing: commands are answered to all."""
        return list(self.fake.shown(self._t.GROUP))

    def listens(self) -> bool:
        return True  # what is said is kept for it

    def given(self) -> dict[str, bytes]:
        return {name: content for _, name, content in self.fake.files}

    async def wait(self, holds: Callable[[], Any]) -> Any:
        await self.fake.wait(holds)
        return holds()


class AtSlack:
    """A channel, and a DM of each."""

    def __init__(self, fake: Any) -> None:
        from tests.fakes import slack as s

        self.fake, self._s = fake, s
        self._who = {ANN: "UANN", BOB: "UBOB"}
        fake.dm("UBOB")
        self.people = {name: f"slack:{s.TEAM}:{user}" for name, user in self._who.items()}
        self.account = f"slack:{s.TEAM}:{s.BOT_USER}"

    def bot(self, settings: Settings) -> Bot:
        from adapters.slack.client import Listening, Slack
        from adapters.slack.view import Us

        s = self._s
        us = Us(s.TEAM, s.BOT_USER, s.BOT_ID, "mira")
        it = Slack(
            us, s.BOT_TOKEN, Listening(app_token=s.APP_TOKEN, ping=1.0), f"{self.fake.url}/api/", every=0.0,
            below=lambda done: below(done, settings.buttons),
        )  # fmt: skip
        return Bot(it, it.close, it.leave)

    def _where(self, who: str, dm: bool) -> str:
        return f"D{self._who[who][1:]}" if dm else "C1"

    def say(self, text: str, who: str = ANN, dm: bool = False, **more: Any) -> str:
        call = "" if dm else f"<@{self._s.BOT_USER}> "
        return str(self.fake.say(self._where(who, dm), self._who[who], call + text, **more))

    def send(self, text: str, *files: Sent, who: str = ANN, dm: bool = False) -> str:
        self.fake.sent |= {one.name: one.content for one in files}
        told = [
            {"id": f"F{at}", "name": one.name, "mimetype": one.media_type, "size": one.told,
             "url_private": f"{self.fake.url}/files-pri/{one.name}"}
            for at, one in enumerate(files)
        ]  # fmt: skip
        return self.say(text, who, dm, files=told, subtype="file_share")

    def command(self, text: str, who: str = ANN, dm: bool = False) -> None:
        self.fake.command(self._where(who, dm), self._who[who], text)

    def press(self, label: str, who: str = ANN, dm: bool = False) -> None:
        self.fake.press(self._where(who, dm), self._who[who], label)

    def labels(self, who: str = ANN, dm: bool = False) -> list[str]:
        seen = self.fake.seen(self._where(who, dm), self._who[who])
        return [label for message in seen for label, _ in self.fake.buttons(message)]

    def react(self, message: str, emoji: str, who: str = ANN, removed: bool = False) -> None:
        self.fake.react("C1", message, self._who[who], demojize(emoji, language="alias").strip(":"), removed)

    def rival(self, text: str) -> str:
        return str(self.fake.say("C1", "URIVAL", text, bot_id="BRIVAL", subtype="bot_message"))

    def ours(self) -> list[str]:
        return [message["ts"] for message in self.fake.replies("C1")]

    def unsay(self, message: str) -> None:
        self.fake.delete("C1", message)

    def close_room(self) -> None:
        del self.fake.channels["C1"]

    def hush(self) -> None:
        self.fake.channels["C1"].members.discard(self._s.BOT_USER)

    def rename(self, who: str, name: str) -> None:
        self.fake.users[self._who[who]]["profile"]["display_name"] = name

    def promote(self, who: str) -> None:
        self.fake.users[self._who[who]]["is_admin"] = True

    def room(self, dm: bool = False) -> list[str]:
        return [self._s.said(message) for message in self.fake.replies(self._where(ANN, dm))]

    def alone(self, who: str = ANN) -> list[str]:
        return [one["text"] for one in self.fake.whispers if one["user"] == self._who[who]]

    def listens(self) -> bool:
        return True  # what is said is kept for it

    def given(self) -> dict[str, bytes]:
        return {file["name"]: file["content"].encode() for file in self.fake.files}

    async def wait(self, holds: Callable[[], Any]) -> Any:
        return await self.fake.wait(holds)
