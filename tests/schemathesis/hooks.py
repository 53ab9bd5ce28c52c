"""What the world of `run` has in it, so that more than names that do not exist are tried."""

import schemathesis
from schemathesis.core.parameters import ParameterLocation

CONTACTS = ["bob", "carol", "dave"]
NAMES = {
    "account": ["alice"],
    "contact": ["bob"],
    "group": ["ops"],
    "chat": ["bob", "ops"],
    "message": [f"bob%23{number}" for number in range(1, 13)] + ["ops%231"],
}
# What would leave nothing for the others to try is done to what is there for that.
SPARE = {
    "removeContact": {"contact": ["carol", "dave", "eve"]},
    "forgetGroup": {"group": ["spare", "extra"]},
    "removeMembers": {"group": ["spare", "extra"]},
    "cancel": {"message": ["bob%2313", "bob%2314"]},
    "unsend": {"message": ["bob%2315", "bob%2316"]},
    "renameContact": {"contact": ["dave", "eve"]},
    "renameGroup": {"group": ["spare", "extra"]},
}
# Names that stand in bodies.
FIELDS = {
    "setRole": {"member": ["bob"]},
    "addMembers": {"members": [["bob"], ["carol"]]},
    "removeMembers": {"members": [["bob"]]},
    "createGroup": {"members": [["bob"], []]},
    "send": {"to": [["bob"], ["ops"], ["bob", "ops"]], "reply_to": ["bob#1", None]},
    "markRead": {"refs": [["bob#2"], ["@last"]]},
    "ackEvents": {"consumer": ["listener"], "seq": [0, 1, 2]},
    "forgetConsumer": {"consumer": ["spare"]},
}
# New names, of which there are no others: whoever got one that was made up would not be found again.
RENAMES = {
    "renameContact": ["dave", "eve"],
    "renameGroup": ["spare", "extra"],
}

# Milliseconds.
PATIENCE = 20


def chosen(value, known):
    """One of the names, for three of four values; the choice follows from what was generated."""
    seed = sum(repr(value).encode())
    return known[seed % len(known)] if seed % 4 else value


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    # What is wrong on purpose stays wrong.
    if isinstance(case.path_parameters, dict) and not case.meta.is_negative_at(ParameterLocation.PATH):
        for name, known in (NAMES | SPARE.get(operation, {})).items():
            if name in case.path_parameters:
                case.path_parameters[name] = chosen(case.path_parameters[name], known)
    # Nobody waits here for what does not come.
    for place in (case.query, case.body):
        if isinstance(place, dict) and ("wait" in place or "timeout_ms" in place):
            place["timeout_ms"] = place.get("timeout_ms", PATIENCE)
            if isinstance(place["timeout_ms"], int):
                place["timeout_ms"] = min(place["timeout_ms"], PATIENCE)
    if isinstance(case.body, dict) and not case.meta.is_negative_at(ParameterLocation.BODY):
        for name, known in FIELDS.get(operation, {}).items():
            if name in case.body:
                case.body[name] = chosen(case.body[name], known)
        if operation in RENAMES and "name" in case.body:
            names = RENAMES[operation]
            case.body["name"] = names[sum(repr(case.body["name"]).encode()) % len(names)]
