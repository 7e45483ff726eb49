"""What was made for a ModelRoute of this name before a restore becomes this one's, before anything else is done.

The HTTPRoute comes last: that it is left says that there may be more. For a rule of the user's own the ModelRollout
that the status names says so, and comes last for the same reason.
"""

from __future__ import annotations

import logging

from modelroute.controller.observe import Seen
from modelroute.controller.ports import Ports
from modelroute.errors import ModelRouteError
from modelroute.gateway.ownership import is_route_left, taking

log = logging.getLogger(__name__)


async def take_back(ports: Ports, seen: Seen) -> bool:
    """Make the ModelRoute the owner of what is left to it; whether anything was written.

    What cannot be written is only logged: it counts as the ModelRoute's all the same, and the next look tries again.
    """
    metadata, written = seen.route.metadata, False
    namespace, name, uid = metadata.namespace, metadata.name, metadata.uid
    left = sorted(seen.kept.left, key=lambda each: each["metadata"]["name"] == seen.route.status.rollout)
    try:
        for each in left:
            await ports.model_rollouts.json_patch(namespace, each["metadata"]["name"], taking(each, name, uid))
            written = True
        if seen.adoption is None and seen.live is not None and is_route_left(seen.live, name, uid):
            await ports.routes.take(seen.template, seen.live)
            written = True
    except ModelRouteError as error:
        log.warning("%s: what is left of a ModelRoute of that name cannot be taken over yet: %s", seen.key, error)
    if written:
        log.info("%s: what was made for a ModelRoute of that name with another UID is this one's now", seen.key)
    return written
