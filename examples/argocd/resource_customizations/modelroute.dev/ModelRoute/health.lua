-- Health of a ModelRoute: Suspended while a person is waited for, Degraded where nothing but a person can go on.
local health = {}
local status = obj.status

if status == nil or status.phase == nil then
  health.status = "Progressing"
  health.message = "Waiting for the operator to look at it"
  return health
end

if status.observedGeneration ~= obj.metadata.generation then
  health.status = "Progressing"
  health.message = "Waiting for the operator to look at the new spec"
  return health
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition.status
end

if status.phase == "Paused" or status.phase == "AwaitingApproval" then
  health.status = "Suspended"
elseif conditions["Stalled"] == "True" then
  health.status = "Degraded"
elseif conditions["Ready"] == "True" then
  health.status = "Healthy"
else
  health.status = "Progressing"
end

health.message = status.message or status.phase
return health
