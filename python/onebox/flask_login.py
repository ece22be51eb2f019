"""Flask-Login's user without a query for each request.

    login_manager.user_loader(cached_user(lambda id: db.session.get(User, int(id)),
                                          fields=("id", "username", "country_id"), ttl=60))

What is cached is a plain dict of these fields, never the object: one that SQLAlchemy has made
belongs to a session of its own, and is another request's. So `current_user` is a copy, of what was
true up to `ttl` seconds ago: to change a user, load the row. Whatever changes it tells the cache,
`load_user.forget(user.id)`, and the next request loads it anew.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask_login import UserMixin

from onebox.cache import Cache

__all__ = ["CachedUser", "cached_user"]


class CachedUser(UserMixin):
    """The fields as attributes, to be read."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(fields)

    # A field goes before the property of this name that UserMixin has.
    is_active = property(lambda self: self.__dict__.get("is_active", True))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a cached user is a copy: to change {name}, load the row, and then "
                             "tell the cache to forget it")

    def __repr__(self) -> str:
        return f"CachedUser({self.__dict__!r})"


def cached_user(load: Callable[[str], Any], *, fields: Iterable[str] = (), ttl: float = 60.0,
                stale: float = 0.0, make: Callable[[dict[str, Any]], Any] = CachedUser,
                namespace: str = "users") -> Callable[[str], Any]:
    """What LoginManager.user_loader() takes: load(id), once for all processes in `ttl` seconds.

    load() returns None, a dict whose keys are str, or an object of which the `fields` are taken;
    `id` is among them. Values are what JSON can say. A user who is not there is asked for each
    time. `make` makes of the dict what current_user is. For `stale` see Cache.get_or_set()."""
    cache, names = Cache(namespace), tuple(fields)

    def load_user(user_id: str) -> Any:
        key = str(user_id)
        found = cache.get_or_set(key, lambda: _plain(load(user_id), names), ttl, stale=stale)
        return None if found is None else make(found)

    def forget(user_id: Any) -> bool:
        """Whether it was cached. What is being loaded meanwhile is not kept either."""
        return cache.delete(str(user_id))

    load_user.forget = forget  # type: ignore[attr-defined]
    return load_user


def _plain(user: Any, names: tuple[str, ...]) -> dict[str, Any] | None:
    if user is None:
        return None
    if isinstance(user, Mapping):
        found = {name: user[name] for name in names} if names else dict(user)
    elif names:
        found = {name: getattr(user, name) for name in names}
    else:
        raise TypeError(f"a {type(user).__name__} is not cached: name its fields, as in "
                        "cached_user(load, fields=('id', 'name')), or return a dict")
    if "id" not in found:
        raise TypeError("a user has an `id` among its fields: it is what the session knows it by")
    return found
