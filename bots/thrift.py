"""A process that lives for months gives back memory that it needs no more. For glibc; other C libraries need no word.

Its allocator keeps an arena for every thread, and lets the heap's top grow the more the larger what was freed: small
things that live long (a message id that is remembered) then pin ever more of what large ones (a payload) leave behind.
"""

import ctypes

_TRIM, _MMAP, _ARENAS = -1, -3, -8  # `mallopt` in <malloc.h>
KEPT = 128 * 1024  # bytes: glibc's own first choice, which stays once it is set


def thrifty() -> bool:
    """From now on, in this process. False where the C library knows nothing of it."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all(mallopt(name, value) for name, value in ((_ARENAS, 1), (_TRIM, KEPT), (_MMAP, KEPT)))
