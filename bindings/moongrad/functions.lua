--- What every public function does that the tables of the core do not tell, for mg.help and
-- the reference: sections that begin with #, and in them entries, a call (which goes on after
-- four blanks) and what it does (after two).
--
-- The last section, marked as own, is of methods that these files call and programs need not:
-- they are explained, but neither shown by examples nor offered by editors.
--
-- The name of an entry is its call up to the bracket: "mg.data.csv", "tensor:size".

local TEXT = [==[
# Making tensors
mg.tensor(v [, {requires_grad=true}])
  a tensor of a number, of nested tables of one shape, or of a tensor's numbers
mg.zeros(sizes..)
  zeros; sizes one by one or in a table, as in all that follow
mg.ones(sizes..)
  ones
mg.full(sizes.., v)
  v everywhere
mg.eye(n)
  {n, n} with ones on the diagonal
mg.arange(first, last [, step=1])
  first, first + step, .. up to last, as Lua's for
mg.linspace(first, last, n)
  n numbers at even distances, both ends included
mg.rand(sizes..)
  random numbers from 0 to 1, even
mg.randn(sizes..)
  random numbers of mean 0 and deviation 1, normal
mg.randperm(n)
  the integers from 1 to n in random order
mg.seed(n)
  begins the random numbers of this Lua state anew; the same n gives the same everywhere
mg.from_string(bytes, shape [, type="f32"])
  a tensor of raw little-endian bytes of type f64, f32, f16, bf16, i64 to i8 or u64 to u8; bytes
  may be a function that returns them in pieces

# Methods of tensors
tensor:size([d])
  the size of dimension d; without d all sizes
tensor:dim()
  how many dimensions there are
tensor:numel()
  how many numbers there are
tensor:item()
  the number of a tensor that holds one
tensor:totable()
  nested tables of its numbers, or a number where it has no dimensions
tensor:get(i, j, ..)
  one number by its indices, from 1 or from the end as -1
tensor:set(i, j, .., v)
  sets one number, or with fewer indices a part to a number, table or tensor; returns the tensor
tensor:fill(v)
  sets all numbers to v in place
tensor:copy(source)
  takes the numbers of a tensor in place, which broadcasts
tensor:add_(b)
  adds b in place
tensor:sub_(b)
  subtracts b in place
tensor:mul_(b)
  multiplies by b in place
tensor:div_(b)
  divides by b in place
tensor:view(sizes..)
  the same as reshape
tensor:split(n [, dim=1])
  a list of views of n elements each along dim, the last perhaps of fewer
tensor:chunk(n [, dim=1])
  a list of at most n views of equal size along dim, the last perhaps smaller
tensor:detach()
  the same numbers without history: gradients end there
tensor:to_string([type="f32" [, first, count]])
  raw little-endian bytes, as mg.from_string takes them; of count numbers from the first-th on
tensor:close()
  frees it now, not when it is collected; any later use is an error
tensor:backward([{retain=true}])
  fills .grad of each leaf that the tensor, a single number, is made of; once, unless retain

# Gradients
mg.grad(loss, {a, b, ..} [, {retain=true}])
  a table of the gradients of loss in a, b, ..; no .grad changes
mg.no_grad(f, ..)
  returns what f(..) does, run without recording
mg.gradcheck(f, inputs)
  the worst relative error of the gradients of f(inputs..), which returns a number, against
  central differences
mg.anomaly(on)
  while on, which is slow, the first op that makes NaN or infinities of finite numbers is an
  error that names it and its layer; returns whether it was on

# Layers of your own
mg.module(name, {init=function(self, ..) end, forward=function(self, x) end})
  a class of layers, called with init's arguments; layers and tensors in fields of self are its
  parts, a file keeps name and arguments
mg.pure(f)
  promises that f, a layer's function, a class's forward or a loss, applies ops alone and the same
  ones each time, so that training and predict may replay them; returns f

# Methods of layers
layer:parameters([all])
  a list of {name=, tensor=} in a fixed order; with true buffers too, marked by buffer=true
layer:named()
  all parameters and buffers as a table by name
layer:num_parameters()
  how many numbers are learnt
layer:predict(x [, out or {further inputs}])
  the result in eval mode and without recording, in a new tensor or in out; x may be a table
layer:train([on=true])
  switches it and its parts to training, where dropout drops; returns the layer
layer:eval()
  switches it and its parts to eval mode; returns the layer
layer:freeze([on=true])
  keeps its parameters as they are while a net is trained; returns the layer
layer:unfreeze()
  lets them learn again; returns the layer
layer:zero_grad()
  clears the gradients of all parameters; returns the layer
layer:build(sizes..)
  makes its parameters for inputs of this shape, the batch included; returns the layer
layer:add(layer [, name])
  puts a layer at the end of a container, or in the place of the one of that name
layer:clone()
  a copy with parameters of its own
layer:hash()
  16 hexadecimal digits made of all parameters and buffers, equal where every bit is
layer:summary([sizes])
  a table of layers, result shapes and parameters, to be printed; sizes are those of one example
layer:describe()
  kind, name, training, input, output and parts of a layer as a table
layer:save(path)
  writes it as mg.save does
layer:load_weights(path or {name=tensor} [, rename])
  copies all weights and buffers by their names, or none where names or shapes differ; rename tells
  the net's name for a foreign one, {[foreign] = own} or a function, false to leave one out; the
  layer, or nil, a message and a code when a file cannot be read
layer:close()
  frees it now, not when it is collected; any later use is an error

# Methods of optimizers
mg.optimizers
  the optimizers as a table by name
mg.no_decay
  a group for biases and norms that weight decay leaves alone: groups = { mg.no_decay }
optimizer:attach(layer or {tensors})
  tells what it is to change; returns the optimizer
optimizer:step([f])
  one update by the gradients that are there; or f computes the loss with its gradients, as often
  as it is asked, and the first loss is returned
optimizer:zero_grad()
  clears the gradients of all that is attached; returns the optimizer
optimizer:averaged(f, ..)
  returns what f(..) does with the averaged weights (option ema) in place of the others
optimizer:observe(report)
  tells a rate that waits for a plateau how an epoch went: a number, or a trainer's report
optimizer:close()
  frees it now, not when it is collected; any later use is an error

# Training
mg.trainer{net=, loss=, optimizer= [, metrics=, class_weight=, accumulate=, anomaly=, plan=]}
  trains a net; each part is an object, a name or a function. metrics: a list of names,
  {top_k = 5} or functions; class_weight: how much each class counts; accumulate: batches that
  share an update; anomaly: looks for the first NaN; plan = false: replays nothing
trainer:step(x, y)
  trains on one batch; returns its mean loss
trainer:epochs(n, data [, {batch=, shuffle=, validation=, accumulate=, on_batch=}])
  for row in trainer:epochs(..): trains an epoch a round, row has epoch, loss, seconds, examples,
  each metric, and val_ of all with validation data
trainer:fit(n, data [, {progress=, patience=, min_delta=, restore_best=, monitor=, mode=,
    checkpoint=, checkpoint_best=, log=, on_epoch=, on_batch=, batch=, shuffle=, validation=,
    accumulate=}])
  trains up to n epochs; returns their rows, or nil, a message and a code where a file cannot be
  written. patience: epochs without a better one that it waits; log: a file of JSON lines;
  checkpoint: a file for trainer:load
trainer:run(data, {ms=, steps= [, epochs=1, batch=, shuffle=, accumulate=]})
  trains for ms milliseconds or steps batches; returns "more" or "done" and the mean loss; the
  same data goes on where the last call stopped. Time may be over in the middle of a batch: until
  the next call all is as after the batch before, but gradients may be nil
trainer:evaluate(data [, {batch=}])
  loss and metrics over data, in eval mode, as a table by name
trainer:save(path)
  writes all that training goes on from: weights, optimizer, random numbers, the place in the run;
  true, or nil, a message and a code
trainer:load(path [, {run=false}])
  goes on from there, bit for bit; run = false takes no place in a run; true, or nil, a message
  and a code
trainer:position()
  the epoch, and how many of its examples are done
trainer:parts()
  net, optimizer and metrics as a table
trainer:close()
  frees it now, not when it is collected; any later use is an error

# Data
mg.data.tensors(x, y)
  examples x {n, ..} and targets y {n, ..}, tensors or nested tables, as a dataset
mg.data.dataset(d)
  a dataset of {x=, y=}, or the dataset that d is
mg.data.function(f, n)
  n examples of a function, f(i) returns x and y; "function" is a word of Lua, func is not
mg.data.func(f, n)
  mg.data["function"] by a name that can be written with a dot
mg.data.idx(images, labels)
  two idx files, plain or gzip, as a dataset: numbers from 0 to 1, labels from 1; or nil and a
  message
mg.data.mnist(folder)
  MNIST or a set of its form: a dataset for training and one for testing; or nil and a message
mg.data.fashion_mnist([folder])
  the same of Fashion-MNIST, from where Debian puts it unless a folder is given
mg.data.csv(path [, {target=, header=true}])
  a CSV file as a dataset: target is a column's name or number, the last unless given; words there
  become labels from 1; or nil and a message
dataset:split(share)
  the first share of the examples, 0 to 1, and the rest, as two datasets
dataset:range(first, count)
  count examples from the first-th on, as a dataset
dataset:shuffle()
  puts the examples in random order; returns the dataset
dataset:normalize([stats])
  scales x to mean 0 and deviation 1, each feature of {n, features} by itself; returns the dataset
  and the statistics, which later data are scaled by
dataset:augment{flip=, shift=, rotate=, scale=, noise=, padding="zero"}
  changes pictures at random whenever they are read for training: flip left to right, shift up to
  so many pixels, rotate up to so many degrees, scale by up to this share, noise of this deviation
dataset:batches(n [, {augment=}])
  for x, y in dataset:batches(n): n examples at a time, in order
dataset:batch(first, count)
  x and y of count examples from the first-th on
dataset:info()
  columns and classes of a CSV file, where there are any
dataset:features()
  how many numbers an example has
dataset:stats(each)
  a table of means and one of deviations: of each feature, or of all numbers
dataset:affine(scales, offsets)
  x times scales plus offsets from now on, tables of one number or one for each feature
dataset:close()
  frees it now, not when it is collected; any later use is an error

# Files
mg.save(path, net or {name=tensor})
  writes a net with its architecture and all that it keeps, or tensors by name, as a safetensors
  file, which replaces an old one at once when it is all on the disk; true, or nil, a message and a
  code
mg.load(path [, {weights_only=}])
  the net or the tensors by name of a file; with weights_only the tensors of any safetensors file;
  or nil, a message and a code. Classes are made by mg.module first
mg.dump(net or {name=tensor})
  what save would write, as a string
mg.undump(bytes [, {weights_only=}])
  what load would read, from a string
mg.set_files(functions or nil)
  lets files be opened, read, written and renamed by functions of the host; returns those before
mg.npy.read(path)
  the tensor of a NumPy .npy file, or the tensors by name of an .npz file; or nil, a message and a
  code
mg.npy.write(path, tensor or {name=tensor})
  writes a tensor as .npy, several as .npz; true, or nil, a message and a code
mg.npy.dump(tensor or {name=tensor})
  what npy.write would write, as a string
mg.npy.undump(bytes)
  what npy.read would read, from a string
mg.export.lua(net, path [, {input=}])
  a net as one plain Lua file, return function(x) .. end; input is the size of one example, where
  the net does not know it; true, or nil, a message and a code
mg.export.c(net, path [, {input=, name=}])
  a net as one C header with weights and a function; its names begin with name, or the file's
mg.export.onnx(net, path [, {input=}])
  a net as an ONNX model, the size of the batch left open

# Pictures
mg.plot
  draws into a string for a terminal, or into the file out: .png, .svg, .txt, by gnuplot .pdf or
  .eps. Options of all: out, title, width and height (columns and rows, or pixels), color
  ("truecolor", "256", "none"); mg.plot.backend overrules the choice. All return the string, true
  after writing, or nil, a message and a code
mg.plot.loss(rows or log [, {log=, xlabel=}])
  loss and metrics over the epochs: rows that fit returns, or a file that its option log writes
mg.plot.curve(curves [, {from=, to=, low=, high=, log=, xlog=, xlabel=, ylabel=}])
  functions of a number, nets of one input, points {x=, y=, label=}, or a list of these
mg.plot.boundary(net, data [, {threshold=0.5, hidden=, names=, xlabel=, ylabel=}])
  which class a net of two inputs answers where, with the examples, and what each hidden neuron does
mg.plot.weights(net or tensor [, {name=, shape=, count=}])
  the first weights of a net as tiles: each window of a convolution, each neuron's of a dense layer
mg.plot.confusion(counts [, {names=}])
  the counts of the metric "confusion": rows are what examples are, columns what they are taken for
mg.plot.histogram(tensor or net [, {bins=, xlabel=}])
  how often numbers fall into each of some ranges
mg.plot.gradients(net)
  the norm of the gradient of each layer, after loss:backward()
mg.plot.images(net, data or tensor [, {count=15, names=, labels=, predicted=}])
  pictures with what they are and what they are taken for, the worst first; or those of a tensor
mg.plot.surface(f or trainer [, data, {x=, y=, path=, weights=, xlabel=, ylabel=}])
  a function of two numbers, or the loss over two weights, with the path that training took

# Hosts
mg.set_threads(n)
  how many threads large ops use, 1 to 64, with the same results
mg.limit{memory=, elements=, tensors=, graph=, threads=}
  lowers what may be used in this Lua state: bytes, numbers of one tensor, tensors at one time, ops
  recorded for gradients at one time, threads; only the host can raise it again
mg.memory()
  bytes in use by moongrad, the most so far, the limit (0: none), and the number of allocations
mg.info()
  version, kind of numbers, instruction set, threads and Lua as a table
mg.type(v)
  "tensor", "layer", "optimizer", "trainer", "dataset" for what moongrad made, else nil
mg.help([name])
  tells what something does, by its name as here or the last part of it
mg._VERSION
  the version as text
mg.core
  the C module beneath; programs need nothing of it, and it may change

# For moongrad's own files
trainer:begin(dataset, batch, epochs, shuffle)
  begins a run; epochs, fit and run do
trainer:resume(dataset, epochs)
  goes on with a run that was loaded
trainer:advance(steps, ms, one_epoch)
  a bounded piece of a run
trainer:assess(dataset, batch)
  examples, loss and metrics of an evaluation
trainer:progress()
  the same of the epoch under way
trainer:table(metric, evaluated)
  the counts of a metric that is a table
trainer:accumulate(n)
  how many batches share an update from now on
optimizer:group(options)
  adds a group; the option groups does
optimizer:grouping(f)
  says by a function of name and dimensions which group a parameter belongs to
optimizer:schedule(f)
  asks a function of the step for each learning rate; a function as lr does
optimizer:swap()
  lets parameters and their averages change places; averaged does
dataset:change(options)
  tells how pictures are changed; augment does
]==]

local sections, entry = {}, nil
for line in TEXT:gmatch("[^\n]+") do
  local title = line:match("^# (.*)")
  if title then
    sections[#sections + 1] = { title = title, own = title == "For moongrad's own files" }
  elseif line:find("^    ") then
    entry.call = entry.call .. line:sub(4)
  elseif line:find("^  ") then
    entry.doc = (entry.doc and entry.doc .. " " or "") .. line:sub(3)
  else
    entry = { name = line:match("^[%w_.:]+"), kind = "function", call = line, options = {} }
    table.insert(sections[#sections], entry)
  end
end

return sections
