-- What programs of this folder count facts by; their last line has both numbers.
local facts = { passed = 0, failed = 0 }

function facts.check(fact, text, ...)
  if fact then
    facts.passed = facts.passed + 1
  else
    facts.failed = facts.failed + 1
    print(("not ok - " .. text):format(...))
  end
end

--- Ends the program, well where all held and there was one.
function facts.finish(name, more)
  print(("%s: %d passed, %d failed%s"):format(name, facts.passed, facts.failed, more or ""))
  os.exit(facts.failed == 0 and facts.passed > 0 and 0 or 1)
end

return facts
