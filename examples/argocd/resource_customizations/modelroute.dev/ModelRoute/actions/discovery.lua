-- What can be asked of a ModelRoute now. An action is offered only with a token (status.nextAction), so that it is
-- about the moment that is on the screen.
local status = obj.status or {}
local phase = status.phase
local has_token = status.nextAction ~= nil and status.nextAction ~= ""
local moving = has_token and (phase == "Progressing" or phase == "Holding" or phase == "AwaitingApproval")
local under_way = moving or (has_token and phase == "Paused")

-- Paused by a person, who can let it go on; not by spec.paused, which stands in Git, nor by a breach.
local by_a_person = under_way and phase == "Paused" and not (obj.spec.paused == true)
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Reconciling" and condition.reason ~= "Paused" then
    by_a_person = false
  end
end

local actions = {}
actions["approve"] = {
  ["disabled"] = not (has_token and phase == "AwaitingApproval"),
  ["displayName"] = "Approve this step",
  ["iconClass"] = "fa fa-fw fa-check"
}
actions["promote"] = {
  ["disabled"] = not moving,
  ["displayName"] = "Promote past this step",
  ["iconClass"] = "fa fa-fw fa-step-forward"
}
actions["promote-full"] = {
  ["disabled"] = not moving,
  ["displayName"] = "Promote past all steps",
  ["iconClass"] = "fa fa-fw fa-fast-forward"
}
actions["pause"] = {
  ["disabled"] = not moving,
  ["displayName"] = "Pause",
  ["iconClass"] = "fa fa-fw fa-pause"
}
actions["resume"] = {
  ["disabled"] = not by_a_person,
  ["displayName"] = "Resume",
  ["iconClass"] = "fa fa-fw fa-play"
}
actions["abort"] = {
  ["disabled"] = not under_way,
  ["displayName"] = "Abort and go back",
  ["iconClass"] = "fa fa-fw fa-undo"
}
actions["retry"] = {
  ["disabled"] = not (has_token and phase == "RolledBack"),
  ["displayName"] = "Retry",
  ["iconClass"] = "fa fa-fw fa-redo"
}
return actions
