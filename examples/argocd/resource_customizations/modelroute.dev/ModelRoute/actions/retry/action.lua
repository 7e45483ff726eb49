-- The operator takes an action by an annotation that carries the token which is due.
local verb = "retry"
if obj.status == nil or obj.status.nextAction == nil then
  error(verb .. ": nothing is due (status.nextAction is not set)")
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["modelroute.dev/action"] = verb .. "@" .. obj.status.nextAction
return obj
