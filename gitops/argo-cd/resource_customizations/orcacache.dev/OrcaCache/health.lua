-- Health of an OrcaCache by the rules of kstatus: first compare the observed generation, then check the conditions
-- Reconciling, Stalled and Ready, in this order.
local health = { status = "Progressing", message = "Waiting for the operator" }

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "Being deleted"
  return health
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end
local reconciling = conditions["Reconciling"]
local stalled = conditions["Stalled"]
local ready = conditions["Ready"]

if reconciling ~= nil and reconciling.status == "True" then
  health.message = reconciling.message
elseif stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
  health.message = stalled.message
elseif ready ~= nil and ready.status == "True" then
  health.status = "Healthy"
  health.message = ready.message
elseif ready ~= nil and ready.reason == "Paused" then
  health.status = "Suspended"
  health.message = ready.message
elseif ready ~= nil then
  health.message = ready.message
end
return health
