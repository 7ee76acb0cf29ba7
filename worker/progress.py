"""How far fetching a model is, for people: a bar in a terminal, elsewhere a line for each new thing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[str, float], None]  # what is being done, and how far it is: 0 to 1, or one of these
UNKNOWN = -1.0  # nobody knows how far
NOTE = -2.0  # to be read even after all is done


@contextmanager
def progress(tell: Tell | None = None) -> Iterator[Tell]:
    """What to tell of a progress; shown on standard error unless somebody else listens."""
    if tell:
        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("Looking for the model", total=None)
        said = ""

        def told(what: str, done: float) -> None:
            nonlocal said
            if what != said and (done == NOTE or not console.is_terminal):
                console.print(what, markup=False, highlight=False, soft_wrap=True)
            bar.update(task, description=what, total=None if done < 0 else 1.0, completed=max(done, 0.0))
            said = what

        yield told
