"""Scripts as Argo CD runs those of argocd-cm: base, table and a clock, and none of Lua's other libraries."""

from __future__ import annotations

from typing import Any, Final

from lupa.luajit21 import LuaError, LuaRuntime, lua_type  # type: ignore[import-untyped]  # it ships no types

__all__ = ["LuaError", "discover", "run"]

Json = dict[str, Any]

# What is open in Argo CD's interpreter: its base library, `table`, and an `os` that can only tell the time. Methods of
# strings come with the string library, so they go with it.
_CLOSE: Final = """
local python_only = {python = true, jit = true, bit = true, ffi = true, newproxy = true, gcinfo = true}
local closed = {string = true, math = true, io = true, debug = true, coroutine = true}
getmetatable("").__index = nil
for name in pairs(_G) do
  if closed[name] or python_only[name] then _G[name] = nil end
end
os = {time = os.time, date = os.date}
package, require, dofile, loadfile = nil, nil, nil, nil
"""


def run(script: str, obj: Json) -> Any:
    """What `script` returns with `obj` as its global. Raises LuaError."""
    lua = LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    lua.globals()["obj"] = _to_lua(lua, obj)
    lua.execute(_CLOSE)
    return _from_lua(lua.execute(script))


def discover(script: str, obj: Json) -> list[Json]:
    """The actions that a discovery script offers, as Argo CD lists them: enabled unless the script says otherwise."""
    found = run(script, obj)
    return [{"name": name, "disabled": False, **(told or {})} for name, told in dict(found or {}).items()]


def _to_lua(lua: LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: _to_lua(lua, each) for key, each in value.items() if each is not None})
    if isinstance(value, list):
        return lua.table_from([_to_lua(lua, each) for each in value])
    return value


def _from_lua(value: Any) -> Any:
    """An empty table is a list, as Argo CD reads it."""
    if lua_type(value) != "table":
        return value
    keys = list(value.keys())
    if keys == list(range(1, len(keys) + 1)):
        return [_from_lua(value[key]) for key in keys]
    return {key: _from_lua(value[key]) for key in keys}
