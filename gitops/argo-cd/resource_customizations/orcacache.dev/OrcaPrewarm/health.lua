-- Health of an OrcaPrewarm by the rules of kstatus: first compare the observed generation, then check the conditions
-- Reconciling, Stalled and Ready, in this order. Unlike kstatus, Argo CD has a status for what is suspended; and a failed
-- run is Degraded even if a schedule will repeat it.
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
local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

if holds("Suspended") then
  health.status = "Suspended"
  health.message = conditions["Suspended"].message
elseif holds("Reconciling") then
  health.message = conditions["Reconciling"].message
  if obj.status.progress ~= nil then
    health.message = obj.status.progress .. ": " .. health.message
  end
elseif holds("Stalled") then
  health.status = "Degraded"
  health.message = conditions["Stalled"].message
elseif holds("Failed") then
  health.status = "Degraded"
  health.message = conditions["Failed"].message
elseif holds("Ready") then
  health.status = "Healthy"
  health.message = conditions["Ready"].message
elseif conditions["Ready"] ~= nil then
  health.message = conditions["Ready"].message
end
return health
