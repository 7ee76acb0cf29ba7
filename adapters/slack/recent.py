"""A dict that forgets."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Mapping[K, V], Generic[K, V]):
    """What was not needed for longest goes first, once there is more than `most`."""

    def __init__(self, most: int = 2_000) -> None:
        self._most = most
        self._items: OrderedDict[K, V] = OrderedDict()

    def __getitem__(self, key: K) -> V:
        self._items.move_to_end(key)
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(list(self._items))  # whoever looks at one moves it

    def __len__(self) -> int:
        return len(self._items)

    def keep(self, key: K, value: V) -> bool:
        """Keep it. Whether it is news."""
        is_new = key not in self._items
        self._items[key] = value
        self._items.move_to_end(key)
        while len(self._items) > self._most:
            self._items.popitem(last=False)
        return is_new

    def forget(self, key: K) -> None:
        """As if it had never been known."""
        self._items.pop(key, None)
