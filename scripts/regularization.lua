-- Claim: a net that learns a thousand pictures by heart does worse and worse on
-- pictures it has not seen; smaller weights (L2), dropout and early stopping each
-- end with a lower loss on those.
--
-- The net has 203,530 weights for 1,000 pictures: enough to remember each one, its
-- dust included. So the loss on the pictures it learns from falls to nothing while
-- the loss on others, which is what counts, turns round and rises. Three remedies:
-- pull every weight towards 0, so that only what helps often stays large; switch
-- off half of the neurons at random in each step, so that none can rely on another;
-- or watch other pictures, and go back to where those were named best.

local common = dofile((arg[0]:match("^.*[/\\]") or "") .. "common.lua")
local mg, options = common.start("Overfitting, and three remedies.", {
  pictures = true,
  { "epochs", 60, "passes over 1,000 pictures, for each net" },
  { "data", false, "where the four idx files are", "FOLDER" },
})

local pictures, test = common.fashion_mnist(mg, options.data)
pictures = pictures:shuffle()
local train, watched = pictures:range(1, 1000), pictures:range(1001, 1000)

--- Trains a net; returns its losses after each epoch and a line about its end.
local function learn(title, o)
  mg.seed(options.seed)
  local net = mg.sequential { { 1, 28, 28 }, mg.flatten(), mg.dropout(o.dropout or 0),
    mg.dense(256, "relu"), mg.dropout(o.dropout or 0), mg.dense(10) }
  local trainer = mg.trainer { net = net, loss = "cross_entropy", metrics = { "accuracy" },
                               optimizer = mg.adam { lr = 1e-3, l2 = o.l2 or 0 } }
  local data = { data = train, batch = 50, shuffle = true,
                 validation = watched }
  local rows = trainer:fit(options.epochs, data,
    { patience = o.patience, restore_best = o.patience ~= nil })
  local known, unknown = trainer:evaluate(train), trainer:evaluate(test)
  print(("%-15s %6d %12.4f %9.3f %12.4f %9.3f"):format(title, #rows, known.loss,
    known.accuracy, unknown.loss, unknown.accuracy))
  return unknown.loss, rows
end

print("                        pictures it learns from    pictures it has not seen")
print("                epochs         loss   rightly         loss   rightly")
local plain, rows = learn("nothing", {})
local l2 = learn("L2", { l2 = 0.005 })
local dropout = learn("dropout", { dropout = 0.5 })
local stopped = learn("early stopping", { patience = 3 })

local best = math.huge
for _, row in ipairs(rows) do best = math.min(best, row.val_loss) end
print "\nNothing done: the loss falls on what it learns from, and turns round on others.\n"
common.show("loss", rows, { title = "Learning by heart" })

common.claim(rows[#rows].val_loss > 1.2 * best and l2 < plain and dropout < plain and
             stopped < plain,
  ("the loss rose to %.3f; with L2 %.3f, dropout %.3f, early stopping %.3f")
  :format(plain, l2, dropout, stopped))
