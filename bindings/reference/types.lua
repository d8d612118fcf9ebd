---@meta moongrad
-- Made by "make docs" for editors; it is not loaded.

---@class moongrad.Tensor
---@field shape integer[]
---@field grad moongrad.Tensor?
---@field requires_grad boolean
---@field [integer] any
---@operator add(moongrad.Tensor|number): moongrad.Tensor
---@operator sub(moongrad.Tensor|number): moongrad.Tensor
---@operator mul(moongrad.Tensor|number): moongrad.Tensor
---@operator div(moongrad.Tensor|number): moongrad.Tensor
---@operator pow(moongrad.Tensor|number): moongrad.Tensor
---@operator unm: moongrad.Tensor
---@operator len: integer
local Tensor = {}

---@class moongrad.Layer
---@overload fun(x: moongrad.Tensor, others?: table): moongrad.Tensor, ...
local Layer = {}

---@class moongrad.Optimizer
---@field lr number
---@field kind string
---@field steps integer
local Optimizer = {}

---@class moongrad.Schedule
---@overload fun(step: integer): number
local Schedule = {}

---@class moongrad.Plateau
---@field lr number
local Plateau = {}

--- takes the number of one more epoch, and gives the rate from now on
---@param value number
---@return number
function Plateau:observe(value) end

---@alias moongrad.Rate number|moongrad.Schedule|moongrad.Plateau|fun(step: integer): number

---@class moongrad.Trainer
local Trainer = {}

---@class moongrad.Dataset
---@operator len: integer
local Dataset = {}

---@class moongrad
local mg = { data = {}, npy = {}, export = {}, plot = {}, schedule = {} }

---@type nil|"terminal"|"png"|"svg"|"gnuplot"
mg.plot.backend = nil

---@class moongrad.options.dense
---@field out? integer
---@field act? string
---@field bias? boolean
---@field init? string
---@field inputs? integer

--- act(x weight' + bias): {n, in} to {n, out}; weight {out, in} starts by xavier_uniform, bias {out} at 0
---@param out integer|moongrad.options.dense
---@param act? string|moongrad.options.dense
---@param bias? boolean|moongrad.options.dense
---@param init? string|moongrad.options.dense
---@param inputs? integer|moongrad.options.dense
---@param options? moongrad.options.dense
---@return moongrad.Layer
function mg.dense(out, act, bias, init, inputs, options) end

---@class moongrad.options.activation
---@field act? string

--- an activation by its name, any shape
---@param act string|moongrad.options.activation
---@return moongrad.Layer
function mg.activation(act) end

---@class moongrad.options.dropout
---@field p? number

--- in training sets a share p of the numbers to 0 and scales the others by 1 / (1 - p); identity in eval mode
---@param p? number|moongrad.options.dropout
---@param options? moongrad.options.dropout
---@return moongrad.Layer
function mg.dropout(p, options) end

--- {n, a, b, ..} to {n, a * b * ..}
---@return moongrad.Layer
function mg.flatten() end

--- {n, ..} to {n, sizes..}; one size may be -1
---@param ... integer|integer[]
---@return moongrad.Layer
function mg.reshape(...) end

---@class moongrad.options.batchnorm
---@field eps? number
---@field momentum? number
---@field affine? boolean

--- each channel (dimension 2) less its mean, over its deviation: in training those of the batch, in eval mode running_mean and running_var, which follow them; times weight {c}, plus bias {c}, which start at 1 and 0
---@param eps? number|moongrad.options.batchnorm
---@param momentum? number|moongrad.options.batchnorm
---@param affine? boolean|moongrad.options.batchnorm
---@param options? moongrad.options.batchnorm
---@return moongrad.Layer
function mg.batchnorm(eps, momentum, affine, options) end

---@class moongrad.options.layernorm
---@field eps? number
---@field dims? integer
---@field affine? boolean
---@field bias? boolean

--- the last 'dims' dimensions of each example less their mean, over their deviation; times weight, plus bias, of their shape, which start at 1 and 0
---@param eps? number|moongrad.options.layernorm
---@param dims? integer|moongrad.options.layernorm
---@param affine? boolean|moongrad.options.layernorm
---@param bias? boolean|moongrad.options.layernorm
---@param options? moongrad.options.layernorm
---@return moongrad.Layer
function mg.layernorm(eps, dims, affine, bias, options) end

---@class moongrad.options.groupnorm
---@field groups? integer
---@field eps? number
---@field affine? boolean

--- groups of channels (dimension 2) of each example less their mean, over their deviation; times weight {c}, plus bias {c}, which start at 1 and 0
---@param groups integer|moongrad.options.groupnorm
---@param eps? number|moongrad.options.groupnorm
---@param affine? boolean|moongrad.options.groupnorm
---@param options? moongrad.options.groupnorm
---@return moongrad.Layer
function mg.groupnorm(groups, eps, affine, options) end

---@class moongrad.options.rmsnorm
---@field eps? number
---@field dims? integer
---@field affine? boolean

--- the last 'dims' dimensions of each example over the root of their mean square, times weight of their shape, which starts at 1
---@param eps? number|moongrad.options.rmsnorm
---@param dims? integer|moongrad.options.rmsnorm
---@param affine? boolean|moongrad.options.rmsnorm
---@param options? moongrad.options.rmsnorm
---@return moongrad.Layer
function mg.rmsnorm(eps, dims, affine, options) end

---@class moongrad.options.embedding
---@field n? integer
---@field dim? integer
---@field padding? integer
---@field init? string

--- ids from 1, in any shape {..}, as vectors {.., dim}: the rows of weight {n, dim}, which start by standard_normal; that of 'padding' stays 0 (0: there is none)
---@param n integer|moongrad.options.embedding
---@param dim integer|moongrad.options.embedding
---@param padding? integer|moongrad.options.embedding
---@param init? string|moongrad.options.embedding
---@param options? moongrad.options.embedding
---@return moongrad.Layer
function mg.embedding(n, dim, padding, init, options) end

--- {.., time, features} plus sines and cosines that tell the places in time
---@return moongrad.Layer
function mg.positional_encoding() end

---@class moongrad.options.positional_embedding
---@field n? integer

--- {.., time, features} plus a vector that is learnt for each of at most n places in time: weight {n, features}, which starts by normal
---@param n integer|moongrad.options.positional_embedding
---@return moongrad.Layer
function mg.positional_embedding(n) end

---@class moongrad.options.attention
---@field heads? integer
---@field causal? boolean
---@field dropout? number
---@field bias? boolean

--- {batch, time, features}: each place takes what it needs from all places, or with 'causal' from those up to itself, or from the places of context {batch, keys, features}, by several heads; weights start by xavier_uniform, biases at 0; mask is 1 where a key is seen and 0 where not: {batch, keys} for padding, {time, keys} for who sees whom, {batch, time, keys} for both; who sees no key gets zeros
---@param heads integer|moongrad.options.attention
---@param causal? boolean|moongrad.options.attention
---@param dropout? number|moongrad.options.attention
---@param bias? boolean|moongrad.options.attention
---@param options? moongrad.options.attention
---@return moongrad.Layer
function mg.attention(heads, causal, dropout, bias, options) end

---@class moongrad.options.transformer_block
---@field heads? integer
---@field hidden? integer
---@field causal? boolean
---@field act? string
---@field norm_first? boolean
---@field dropout? number

--- {batch, time, features}: x + self_attn(norm1(x)), then x + linear2(act(linear1(norm2(x)))); without norm_first the norms are of the sums. linear1 has 'hidden' results, 0 for 4 times the features; act is relu unless it is named; mask is 1 where a key is seen and 0 where not: {batch, keys} for padding, {time, keys} for who sees whom, {batch, time, keys} for both; who sees no key gets zeros
---@param heads integer|moongrad.options.transformer_block
---@param hidden? integer|moongrad.options.transformer_block
---@param causal? boolean|moongrad.options.transformer_block
---@param act? string|moongrad.options.transformer_block
---@param norm_first? boolean|moongrad.options.transformer_block
---@param dropout? number|moongrad.options.transformer_block
---@param options? moongrad.options.transformer_block
---@return moongrad.Layer
function mg.transformer_block(heads, hidden, causal, act, norm_first, dropout, options) end

---@class moongrad.options.prelu
---@field n? integer
---@field start? number

--- x, or weight * x below 0, the weight learnt: one, or n for as many channels (dimension 2); it starts at 'start'
---@param n? integer|moongrad.options.prelu
---@param start? number|moongrad.options.prelu
---@param options? moongrad.options.prelu
---@return moongrad.Layer
function mg.prelu(n, start, options) end

---@class moongrad.options.bilinear
---@field out? integer
---@field bias? boolean

--- x' W_k other + b_k for k up to out: {.., in1} and {.., in2} to {.., out}; weight {out, in1, in2} starts by xavier_uniform, bias {out} at 0; other is x where it is left out
---@param out integer|moongrad.options.bilinear
---@param bias? boolean|moongrad.options.bilinear
---@param options? moongrad.options.bilinear
---@return moongrad.Layer
function mg.bilinear(out, bias, options) end

---@class moongrad.options.spatial_dropout
---@field p? number

--- in training sets a share p of the channels (dimension 2) to 0 and scales the others by 1 / (1 - p); identity in eval mode
---@param p? number|moongrad.options.spatial_dropout
---@param options? moongrad.options.spatial_dropout
---@return moongrad.Layer
function mg.spatial_dropout(p, options) end

---@class moongrad.options.rnn
---@field hidden? integer
---@field layers? integer
---@field bidirectional? boolean
---@field return_sequence? boolean
---@field dropout? number
---@field bias? boolean
---@field nonlinearity? "tanh"|"relu"

--- each step's result goes into the next one: {batch, time, features} to {batch, time, hidden}, or without return_sequence the last step, {batch, hidden}; weights start by xavier_uniform, biases at 0
---@param hidden integer|moongrad.options.rnn
---@param layers? integer|moongrad.options.rnn
---@param bidirectional? boolean|moongrad.options.rnn
---@param return_sequence? boolean|moongrad.options.rnn
---@param dropout? number|moongrad.options.rnn
---@param bias? boolean|moongrad.options.rnn
---@param nonlinearity? "tanh"|"relu"|moongrad.options.rnn
---@param options? moongrad.options.rnn
---@return moongrad.Layer
function mg.rnn(hidden, layers, bidirectional, return_sequence, dropout, bias, nonlinearity, options) end

---@class moongrad.options.gru
---@field hidden? integer
---@field layers? integer
---@field bidirectional? boolean
---@field return_sequence? boolean
---@field dropout? number
---@field bias? boolean

--- an rnn whose gates say what to keep: {batch, time, features} to {batch, time, hidden}, or without return_sequence the last step, {batch, hidden}; weights start by xavier_uniform, biases at 0
---@param hidden integer|moongrad.options.gru
---@param layers? integer|moongrad.options.gru
---@param bidirectional? boolean|moongrad.options.gru
---@param return_sequence? boolean|moongrad.options.gru
---@param dropout? number|moongrad.options.gru
---@param bias? boolean|moongrad.options.gru
---@param options? moongrad.options.gru
---@return moongrad.Layer
function mg.gru(hidden, layers, bidirectional, return_sequence, dropout, bias, options) end

---@class moongrad.options.lstm
---@field hidden? integer
---@field layers? integer
---@field bidirectional? boolean
---@field return_sequence? boolean
---@field dropout? number
---@field bias? boolean

--- an rnn with a memory c that gates write, keep and read: {batch, time, features} to {batch, time, hidden}, or without return_sequence the last step, {batch, hidden}; weights start by xavier_uniform, biases at 0
---@param hidden integer|moongrad.options.lstm
---@param layers? integer|moongrad.options.lstm
---@param bidirectional? boolean|moongrad.options.lstm
---@param return_sequence? boolean|moongrad.options.lstm
---@param dropout? number|moongrad.options.lstm
---@param bias? boolean|moongrad.options.lstm
---@param options? moongrad.options.lstm
---@return moongrad.Layer
function mg.lstm(hidden, layers, bidirectional, return_sequence, dropout, bias, options) end

--- each layer's result is the next one's input
---@param parts table
---@return moongrad.Layer
function mg.sequential(parts) end

--- x + f(x), f being its layers in turn
---@param parts table
---@return moongrad.Layer
function mg.residual(parts) end

--- each layer gets the same input; results are joined along dimension 2
---@param parts table
---@return moongrad.Layer
function mg.parallel(parts) end

---@class moongrad.options.conv1d
---@field out? integer
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]|string
---@field dilation? integer|integer[]
---@field groups? integer
---@field bias? boolean
---@field init? string

--- convolution, {n, c, l} to {n, out, ..}: weight {out, c / groups, kernel}; weight starts by xavier_uniform, bias {out} at 0
---@param out integer|moongrad.options.conv1d
---@param kernel integer|integer[]|moongrad.options.conv1d
---@param stride? integer|integer[]|moongrad.options.conv1d
---@param padding? integer|integer[]|string|moongrad.options.conv1d
---@param dilation? integer|integer[]|moongrad.options.conv1d
---@param groups? integer|moongrad.options.conv1d
---@param bias? boolean|moongrad.options.conv1d
---@param init? string|moongrad.options.conv1d
---@param options? moongrad.options.conv1d
---@return moongrad.Layer
function mg.conv1d(out, kernel, stride, padding, dilation, groups, bias, init, options) end

---@class moongrad.options.conv2d
---@field out? integer
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]|string
---@field dilation? integer|integer[]
---@field groups? integer
---@field bias? boolean
---@field init? string

--- convolution, {n, c, h, w} to {n, out, ..}: weight {out, c / groups, kernel..}; weight starts by xavier_uniform, bias {out} at 0
---@param out integer|moongrad.options.conv2d
---@param kernel integer|integer[]|moongrad.options.conv2d
---@param stride? integer|integer[]|moongrad.options.conv2d
---@param padding? integer|integer[]|string|moongrad.options.conv2d
---@param dilation? integer|integer[]|moongrad.options.conv2d
---@param groups? integer|moongrad.options.conv2d
---@param bias? boolean|moongrad.options.conv2d
---@param init? string|moongrad.options.conv2d
---@param options? moongrad.options.conv2d
---@return moongrad.Layer
function mg.conv2d(out, kernel, stride, padding, dilation, groups, bias, init, options) end

---@class moongrad.options.conv_transpose1d
---@field out? integer
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]
---@field dilation? integer|integer[]
---@field groups? integer
---@field bias? boolean
---@field init? string
---@field output_padding? integer|integer[]

--- transposed convolution, {n, c, l} to {n, out, ..}: weight {c, out / groups, kernel}; weight starts by xavier_uniform, bias {out} at 0
---@param out integer|moongrad.options.conv_transpose1d
---@param kernel integer|integer[]|moongrad.options.conv_transpose1d
---@param stride? integer|integer[]|moongrad.options.conv_transpose1d
---@param padding? integer|integer[]|moongrad.options.conv_transpose1d
---@param dilation? integer|integer[]|moongrad.options.conv_transpose1d
---@param groups? integer|moongrad.options.conv_transpose1d
---@param bias? boolean|moongrad.options.conv_transpose1d
---@param init? string|moongrad.options.conv_transpose1d
---@param output_padding? integer|integer[]|moongrad.options.conv_transpose1d
---@param options? moongrad.options.conv_transpose1d
---@return moongrad.Layer
function mg.conv_transpose1d(out, kernel, stride, padding, dilation, groups, bias, init, output_padding, options) end

---@class moongrad.options.conv_transpose2d
---@field out? integer
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]
---@field dilation? integer|integer[]
---@field groups? integer
---@field bias? boolean
---@field init? string
---@field output_padding? integer|integer[]

--- transposed convolution, {n, c, h, w} to {n, out, ..}: weight {c, out / groups, kernel..}; weight starts by xavier_uniform, bias {out} at 0
---@param out integer|moongrad.options.conv_transpose2d
---@param kernel integer|integer[]|moongrad.options.conv_transpose2d
---@param stride? integer|integer[]|moongrad.options.conv_transpose2d
---@param padding? integer|integer[]|moongrad.options.conv_transpose2d
---@param dilation? integer|integer[]|moongrad.options.conv_transpose2d
---@param groups? integer|moongrad.options.conv_transpose2d
---@param bias? boolean|moongrad.options.conv_transpose2d
---@param init? string|moongrad.options.conv_transpose2d
---@param output_padding? integer|integer[]|moongrad.options.conv_transpose2d
---@param options? moongrad.options.conv_transpose2d
---@return moongrad.Layer
function mg.conv_transpose2d(out, kernel, stride, padding, dilation, groups, bias, init, output_padding, options) end

---@class moongrad.options.avgpool1d
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]

--- the mean of each window; stride is as kernel unless given
---@param kernel integer|integer[]|moongrad.options.avgpool1d
---@param stride? integer|integer[]|moongrad.options.avgpool1d
---@param padding? integer|integer[]|moongrad.options.avgpool1d
---@param options? moongrad.options.avgpool1d
---@return moongrad.Layer
function mg.avgpool1d(kernel, stride, padding, options) end

---@class moongrad.options.avgpool2d
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]

--- the mean of each window; stride is as kernel unless given
---@param kernel integer|integer[]|moongrad.options.avgpool2d
---@param stride? integer|integer[]|moongrad.options.avgpool2d
---@param padding? integer|integer[]|moongrad.options.avgpool2d
---@param options? moongrad.options.avgpool2d
---@return moongrad.Layer
function mg.avgpool2d(kernel, stride, padding, options) end

---@class moongrad.options.maxpool1d
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]

--- the greatest number of each window; stride is as kernel unless given
---@param kernel integer|integer[]|moongrad.options.maxpool1d
---@param stride? integer|integer[]|moongrad.options.maxpool1d
---@param padding? integer|integer[]|moongrad.options.maxpool1d
---@param options? moongrad.options.maxpool1d
---@return moongrad.Layer
function mg.maxpool1d(kernel, stride, padding, options) end

---@class moongrad.options.maxpool2d
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]

--- the greatest number of each window; stride is as kernel unless given
---@param kernel integer|integer[]|moongrad.options.maxpool2d
---@param stride? integer|integer[]|moongrad.options.maxpool2d
---@param padding? integer|integer[]|moongrad.options.maxpool2d
---@param options? moongrad.options.maxpool2d
---@return moongrad.Layer
function mg.maxpool2d(kernel, stride, padding, options) end

---@class moongrad.options.adaptive_avgpool1d
---@field size? integer|integer[]

--- windows that share the input out among 'size' results: means
---@param size integer|integer[]|moongrad.options.adaptive_avgpool1d
---@return moongrad.Layer
function mg.adaptive_avgpool1d(size) end

---@class moongrad.options.adaptive_avgpool2d
---@field size? integer|integer[]

--- windows that share the input out among 'size' results: means
---@param size integer|integer[]|moongrad.options.adaptive_avgpool2d
---@return moongrad.Layer
function mg.adaptive_avgpool2d(size) end

---@class moongrad.options.adaptive_maxpool1d
---@field size? integer|integer[]

--- windows that share the input out among 'size' results: greatest numbers
---@param size integer|integer[]|moongrad.options.adaptive_maxpool1d
---@return moongrad.Layer
function mg.adaptive_maxpool1d(size) end

---@class moongrad.options.adaptive_maxpool2d
---@field size? integer|integer[]

--- windows that share the input out among 'size' results: greatest numbers
---@param size integer|integer[]|moongrad.options.adaptive_maxpool2d
---@return moongrad.Layer
function mg.adaptive_maxpool2d(size) end

--- the mean of each channel: {n, c, ..} to {n, c}
---@return moongrad.Layer
function mg.global_avgpool1d() end

--- the mean of each channel: {n, c, ..} to {n, c}
---@return moongrad.Layer
function mg.global_avgpool2d() end

--- the greatest number of each channel: {n, c, ..} to {n, c}
---@return moongrad.Layer
function mg.global_maxpool1d() end

--- the greatest number of each channel: {n, c, ..} to {n, c}
---@return moongrad.Layer
function mg.global_maxpool2d() end

---@class moongrad.options.pad1d
---@field before? integer|integer[]
---@field after? integer|integer[]|string
---@field mode? "zero"|"reflect"|"replicate"

--- numbers around the input, 'before' and 'after' (the same unless given)
---@param before integer|integer[]|moongrad.options.pad1d
---@param after? integer|integer[]|string|moongrad.options.pad1d
---@param mode? "zero"|"reflect"|"replicate"|moongrad.options.pad1d
---@param options? moongrad.options.pad1d
---@return moongrad.Layer
function mg.pad1d(before, after, mode, options) end

---@class moongrad.options.pad2d
---@field before? integer|integer[]
---@field after? integer|integer[]|string
---@field mode? "zero"|"reflect"|"replicate"

--- numbers around the input, 'before' and 'after' (the same unless given)
---@param before integer|integer[]|moongrad.options.pad2d
---@param after? integer|integer[]|string|moongrad.options.pad2d
---@param mode? "zero"|"reflect"|"replicate"|moongrad.options.pad2d
---@param options? moongrad.options.pad2d
---@return moongrad.Layer
function mg.pad2d(before, after, mode, options) end

---@class moongrad.options.upsample1d
---@field factor? integer|integer[]
---@field mode? "nearest"|"bilinear"|"linear"

--- the input scaled up by a whole factor
---@param factor integer|integer[]|moongrad.options.upsample1d
---@param mode? "nearest"|"bilinear"|"linear"|moongrad.options.upsample1d
---@param options? moongrad.options.upsample1d
---@return moongrad.Layer
function mg.upsample1d(factor, mode, options) end

---@class moongrad.options.upsample2d
---@field factor? integer|integer[]
---@field mode? "nearest"|"bilinear"|"linear"

--- the input scaled up by a whole factor
---@param factor integer|integer[]|moongrad.options.upsample2d
---@param mode? "nearest"|"bilinear"|"linear"|moongrad.options.upsample2d
---@param options? moongrad.options.upsample2d
---@return moongrad.Layer
function mg.upsample2d(factor, mode, options) end

--- e to the power x
---@return moongrad.Tensor
function Tensor:exp() end

--- e to the power x, written over it
---@return moongrad.Tensor
function Tensor:exp_() end

--- e to the power x
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.exp(x) end

--- natural logarithm of x
---@return moongrad.Tensor
function Tensor:log() end

--- natural logarithm of x, written over it
---@return moongrad.Tensor
function Tensor:log_() end

--- natural logarithm of x
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.log(x) end

--- square root of x
---@return moongrad.Tensor
function Tensor:sqrt() end

--- square root of x, written over it
---@return moongrad.Tensor
function Tensor:sqrt_() end

--- square root of x
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.sqrt(x) end

--- x times x
---@return moongrad.Tensor
function Tensor:square() end

--- x times x, written over it
---@return moongrad.Tensor
function Tensor:square_() end

--- x times x
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.square(x) end

--- x without its sign; slope 0 at 0
---@return moongrad.Tensor
function Tensor:abs() end

--- x without its sign; slope 0 at 0, written over it
---@return moongrad.Tensor
function Tensor:abs_() end

--- x without its sign; slope 0 at 0
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.abs(x) end

--- -1, 0 or 1; its slope is 0 everywhere
---@return moongrad.Tensor
function Tensor:sign() end

--- -1, 0 or 1; its slope is 0 everywhere, written over it
---@return moongrad.Tensor
function Tensor:sign_() end

--- -1, 0 or 1; its slope is 0 everywhere
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.sign(x) end

--- sine of x in radians
---@return moongrad.Tensor
function Tensor:sin() end

--- sine of x in radians, written over it
---@return moongrad.Tensor
function Tensor:sin_() end

--- sine of x in radians
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.sin(x) end

--- cosine of x in radians
---@return moongrad.Tensor
function Tensor:cos() end

--- cosine of x in radians, written over it
---@return moongrad.Tensor
function Tensor:cos_() end

--- cosine of x in radians
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.cos(x) end

--- -x
---@return moongrad.Tensor
function Tensor:neg() end

--- -x, written over it
---@return moongrad.Tensor
function Tensor:neg_() end

--- -x
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.neg(x) end

---@class moongrad.options.op_clamp
---@field lo? number
---@field hi? number

--- x, but at least lo and at most hi
---@param lo? number|moongrad.options.op_clamp
---@param hi? number|moongrad.options.op_clamp
---@param options? moongrad.options.op_clamp
---@return moongrad.Tensor
function Tensor:clamp(lo, hi, options) end

--- x, but at least lo and at most hi, written over it
---@param lo? number|moongrad.options.op_clamp
---@param hi? number|moongrad.options.op_clamp
---@param options? moongrad.options.op_clamp
---@return moongrad.Tensor
function Tensor:clamp_(lo, hi, options) end

--- x, but at least lo and at most hi
---@param x moongrad.Tensor|number|table
---@param lo? number|moongrad.options.op_clamp
---@param hi? number|moongrad.options.op_clamp
---@param options? moongrad.options.op_clamp
---@return moongrad.Tensor
function mg.clamp(x, lo, hi, options) end

--- 1 / (1 + exp(-x)): any number squashed into (0, 1)
---@return moongrad.Tensor
function Tensor:sigmoid() end

--- 1 / (1 + exp(-x)): any number squashed into (0, 1), written over it
---@return moongrad.Tensor
function Tensor:sigmoid_() end

--- 1 / (1 + exp(-x)): any number squashed into (0, 1)
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.sigmoid(x) end

--- hyperbolic tangent: any number squashed into (-1, 1)
---@return moongrad.Tensor
function Tensor:tanh() end

--- hyperbolic tangent: any number squashed into (-1, 1), written over it
---@return moongrad.Tensor
function Tensor:tanh_() end

--- hyperbolic tangent: any number squashed into (-1, 1)
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.tanh(x) end

--- x where positive, else 0
---@return moongrad.Tensor
function Tensor:relu() end

--- x where positive, else 0, written over it
---@return moongrad.Tensor
function Tensor:relu_() end

--- x where positive, else 0
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.relu(x) end

---@class moongrad.options.op_leaky_relu
---@field a? number

--- x where positive, else a times x
---@param a? number|moongrad.options.op_leaky_relu
---@param options? moongrad.options.op_leaky_relu
---@return moongrad.Tensor
function Tensor:leaky_relu(a, options) end

--- x where positive, else a times x, written over it
---@param a? number|moongrad.options.op_leaky_relu
---@param options? moongrad.options.op_leaky_relu
---@return moongrad.Tensor
function Tensor:leaky_relu_(a, options) end

--- x where positive, else a times x
---@param x moongrad.Tensor|number|table
---@param a? number|moongrad.options.op_leaky_relu
---@param options? moongrad.options.op_leaky_relu
---@return moongrad.Tensor
function mg.leaky_relu(x, a, options) end

---@class moongrad.options.op_elu
---@field a? number

--- x where positive, else a * (exp(x) - 1)
---@param a? number|moongrad.options.op_elu
---@param options? moongrad.options.op_elu
---@return moongrad.Tensor
function Tensor:elu(a, options) end

--- x where positive, else a * (exp(x) - 1), written over it
---@param a? number|moongrad.options.op_elu
---@param options? moongrad.options.op_elu
---@return moongrad.Tensor
function Tensor:elu_(a, options) end

--- x where positive, else a * (exp(x) - 1)
---@param x moongrad.Tensor|number|table
---@param a? number|moongrad.options.op_elu
---@param options? moongrad.options.op_elu
---@return moongrad.Tensor
function mg.elu(x, a, options) end

--- elu scaled so that mean 0 and variance 1 keep themselves
---@return moongrad.Tensor
function Tensor:selu() end

--- elu scaled so that mean 0 and variance 1 keep themselves, written over it
---@return moongrad.Tensor
function Tensor:selu_() end

--- elu scaled so that mean 0 and variance 1 keep themselves
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.selu(x) end

--- x times the normal distribution function of x
---@return moongrad.Tensor
function Tensor:gelu() end

--- x times the normal distribution function of x, written over it
---@return moongrad.Tensor
function Tensor:gelu_() end

--- x times the normal distribution function of x
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.gelu(x) end

--- x * sigmoid(x), also called swish
---@return moongrad.Tensor
function Tensor:silu() end

--- x * sigmoid(x), also called swish, written over it
---@return moongrad.Tensor
function Tensor:silu_() end

--- x * sigmoid(x), also called swish
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.silu(x) end

--- log(1 + exp(x)): relu with a rounded corner
---@return moongrad.Tensor
function Tensor:softplus() end

--- log(1 + exp(x)): relu with a rounded corner, written over it
---@return moongrad.Tensor
function Tensor:softplus_() end

--- log(1 + exp(x)): relu with a rounded corner
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.softplus(x) end

--- x / (1 + |x|)
---@return moongrad.Tensor
function Tensor:softsign() end

--- x / (1 + |x|), written over it
---@return moongrad.Tensor
function Tensor:softsign_() end

--- x / (1 + |x|)
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.softsign(x) end

--- x, but at least -1 and at most 1
---@return moongrad.Tensor
function Tensor:hardtanh() end

--- x, but at least -1 and at most 1, written over it
---@return moongrad.Tensor
function Tensor:hardtanh_() end

--- x, but at least -1 and at most 1
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.hardtanh(x) end

--- 1 where x is positive, else 0; its slope is 0 everywhere
---@return moongrad.Tensor
function Tensor:step() end

--- 1 where x is positive, else 0; its slope is 0 everywhere, written over it
---@return moongrad.Tensor
function Tensor:step_() end

--- 1 where x is positive, else 0; its slope is 0 everywhere
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.step(x) end

--- a + b
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:add(b) end

--- a + b
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.add(a, b) end

--- a - b
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:sub(b) end

--- a - b
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.sub(a, b) end

--- a * b, element by element
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:mul(b) end

--- a * b, element by element
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.mul(a, b) end

--- a / b
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:div(b) end

--- a / b
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.div(a, b) end

--- a to the power b
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:pow(b) end

--- a to the power b, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:pow_(b) end

--- a to the power b
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.pow(a, b) end

--- the smaller of a and b, NaN if one is
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:minimum(b) end

--- the smaller of a and b, NaN if one is, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:minimum_(b) end

--- the smaller of a and b, NaN if one is
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.minimum(a, b) end

--- the larger of a and b, NaN if one is
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:maximum(b) end

--- the larger of a and b, NaN if one is, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:maximum_(b) end

--- the larger of a and b, NaN if one is
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.maximum(a, b) end

--- 1 where a equals b, else 0
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:eq(b) end

--- 1 where a equals b, else 0, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:eq_(b) end

--- 1 where a equals b, else 0
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.eq(a, b) end

--- 1 where a differs from b, else 0
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:ne(b) end

--- 1 where a differs from b, else 0, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:ne_(b) end

--- 1 where a differs from b, else 0
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.ne(a, b) end

--- 1 where a is less than b, else 0
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:lt(b) end

--- 1 where a is less than b, else 0, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:lt_(b) end

--- 1 where a is less than b, else 0
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.lt(a, b) end

--- 1 where a is at most b, else 0
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:le(b) end

--- 1 where a is at most b, else 0, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:le_(b) end

--- 1 where a is at most b, else 0
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.le(a, b) end

--- 1 where a is greater than b, else 0
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:gt(b) end

--- 1 where a is greater than b, else 0, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:gt_(b) end

--- 1 where a is greater than b, else 0
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.gt(a, b) end

--- 1 where a is at least b, else 0
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:ge(b) end

--- 1 where a is at least b, else 0, written over it
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:ge_(b) end

--- 1 where a is at least b, else 0
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.ge(a, b) end

--- a where the condition is not 0, else b
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:where(a, b) end

--- a where the condition is not 0, else b
---@param condition moongrad.Tensor|number|table
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.where(condition, a, b) end

---@class moongrad.options.op_sum
---@field dim? integer
---@field keepdim? boolean

--- the sum along dim, or of all
---@param dim? integer|moongrad.options.op_sum
---@param keepdim? boolean|moongrad.options.op_sum
---@param options? moongrad.options.op_sum
---@return moongrad.Tensor
function Tensor:sum(dim, keepdim, options) end

--- the sum along dim, or of all
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_sum
---@param keepdim? boolean|moongrad.options.op_sum
---@param options? moongrad.options.op_sum
---@return moongrad.Tensor
function mg.sum(x, dim, keepdim, options) end

---@class moongrad.options.op_mean
---@field dim? integer
---@field keepdim? boolean

--- the mean along dim, or of all
---@param dim? integer|moongrad.options.op_mean
---@param keepdim? boolean|moongrad.options.op_mean
---@param options? moongrad.options.op_mean
---@return moongrad.Tensor
function Tensor:mean(dim, keepdim, options) end

--- the mean along dim, or of all
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_mean
---@param keepdim? boolean|moongrad.options.op_mean
---@param options? moongrad.options.op_mean
---@return moongrad.Tensor
function mg.mean(x, dim, keepdim, options) end

---@class moongrad.options.op_max
---@field dim? integer
---@field keepdim? boolean

--- the largest along dim, or of all; its gradient goes to the first
---@param dim? integer|moongrad.options.op_max
---@param keepdim? boolean|moongrad.options.op_max
---@param options? moongrad.options.op_max
---@return moongrad.Tensor
function Tensor:max(dim, keepdim, options) end

--- the largest along dim, or of all; its gradient goes to the first
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_max
---@param keepdim? boolean|moongrad.options.op_max
---@param options? moongrad.options.op_max
---@return moongrad.Tensor
function mg.max(x, dim, keepdim, options) end

---@class moongrad.options.op_min
---@field dim? integer
---@field keepdim? boolean

--- the smallest along dim, or of all; its gradient goes to the first
---@param dim? integer|moongrad.options.op_min
---@param keepdim? boolean|moongrad.options.op_min
---@param options? moongrad.options.op_min
---@return moongrad.Tensor
function Tensor:min(dim, keepdim, options) end

--- the smallest along dim, or of all; its gradient goes to the first
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_min
---@param keepdim? boolean|moongrad.options.op_min
---@param options? moongrad.options.op_min
---@return moongrad.Tensor
function mg.min(x, dim, keepdim, options) end

---@class moongrad.options.op_argmax
---@field dim? integer
---@field keepdim? boolean

--- where the largest along dim is, from 1; the first of equals
---@param dim? integer|moongrad.options.op_argmax
---@param keepdim? boolean|moongrad.options.op_argmax
---@param options? moongrad.options.op_argmax
---@return moongrad.Tensor
function Tensor:argmax(dim, keepdim, options) end

--- where the largest along dim is, from 1; the first of equals
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_argmax
---@param keepdim? boolean|moongrad.options.op_argmax
---@param options? moongrad.options.op_argmax
---@return moongrad.Tensor
function mg.argmax(x, dim, keepdim, options) end

---@class moongrad.options.op_argmin
---@field dim? integer
---@field keepdim? boolean

--- where the smallest along dim is, from 1; the first of equals
---@param dim? integer|moongrad.options.op_argmin
---@param keepdim? boolean|moongrad.options.op_argmin
---@param options? moongrad.options.op_argmin
---@return moongrad.Tensor
function Tensor:argmin(dim, keepdim, options) end

--- where the smallest along dim is, from 1; the first of equals
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_argmin
---@param keepdim? boolean|moongrad.options.op_argmin
---@param options? moongrad.options.op_argmin
---@return moongrad.Tensor
function mg.argmin(x, dim, keepdim, options) end

---@class moongrad.options.op_var
---@field dim? integer
---@field keepdim? boolean
---@field correction? integer

--- the variance along dim, or of all: squared deviations / (n - correction)
---@param dim? integer|moongrad.options.op_var
---@param keepdim? boolean|moongrad.options.op_var
---@param correction? integer|moongrad.options.op_var
---@param options? moongrad.options.op_var
---@return moongrad.Tensor
function Tensor:var(dim, keepdim, correction, options) end

--- the variance along dim, or of all: squared deviations / (n - correction)
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_var
---@param keepdim? boolean|moongrad.options.op_var
---@param correction? integer|moongrad.options.op_var
---@param options? moongrad.options.op_var
---@return moongrad.Tensor
function mg.var(x, dim, keepdim, correction, options) end

---@class moongrad.options.op_std
---@field dim? integer
---@field keepdim? boolean
---@field correction? integer

--- the standard deviation along dim, or of all: the square root of var
---@param dim? integer|moongrad.options.op_std
---@param keepdim? boolean|moongrad.options.op_std
---@param correction? integer|moongrad.options.op_std
---@param options? moongrad.options.op_std
---@return moongrad.Tensor
function Tensor:std(dim, keepdim, correction, options) end

--- the standard deviation along dim, or of all: the square root of var
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_std
---@param keepdim? boolean|moongrad.options.op_std
---@param correction? integer|moongrad.options.op_std
---@param options? moongrad.options.op_std
---@return moongrad.Tensor
function mg.std(x, dim, keepdim, correction, options) end

---@class moongrad.options.op_norm
---@field dim? integer
---@field keepdim? boolean
---@field p? number

--- (the sum of |x|^p)^(1/p) along dim, or of all; slope 0 at a zero vector
---@param dim? integer|moongrad.options.op_norm
---@param keepdim? boolean|moongrad.options.op_norm
---@param p? number|moongrad.options.op_norm
---@param options? moongrad.options.op_norm
---@return moongrad.Tensor
function Tensor:norm(dim, keepdim, p, options) end

--- (the sum of |x|^p)^(1/p) along dim, or of all; slope 0 at a zero vector
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_norm
---@param keepdim? boolean|moongrad.options.op_norm
---@param p? number|moongrad.options.op_norm
---@param options? moongrad.options.op_norm
---@return moongrad.Tensor
function mg.norm(x, dim, keepdim, p, options) end

--- product of matrices: {m, k} by {k, n}, batches in front broadcast, 1-dim operands as a row or a column
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:matmul(b) end

--- product of matrices: {m, k} by {k, n}, batches in front broadcast, 1-dim operands as a row or a column
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.matmul(a, b) end

---@class moongrad.options.op_linear
---@field act? string

--- act(x weight' + bias), x {.., in}, weight {out, in}, bias {out}
---@param weight moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param act? string|moongrad.options.op_linear
---@param options? moongrad.options.op_linear
---@return moongrad.Tensor
function Tensor:linear(weight, bias, act, options) end

--- act(x weight' + bias), x {.., in}, weight {out, in}, bias {out}
---@param x moongrad.Tensor|number|table
---@param weight moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param act? string|moongrad.options.op_linear
---@param options? moongrad.options.op_linear
---@return moongrad.Tensor
function mg.linear(x, weight, bias, act, options) end

--- the same numbers in another shape; one size may be -1 and is worked out
---@param ... integer|integer[]
---@return moongrad.Tensor
function Tensor:reshape(...) end

---@class moongrad.options.op_flatten
---@field from? integer

--- dimensions 'from' to the last as one
---@param from? integer|moongrad.options.op_flatten
---@param options? moongrad.options.op_flatten
---@return moongrad.Tensor
function Tensor:flatten(from, options) end

---@class moongrad.options.op_transpose
---@field a? integer
---@field b? integer

--- dimensions a and b exchanged
---@param a integer|moongrad.options.op_transpose
---@param b integer|moongrad.options.op_transpose
---@return moongrad.Tensor
function Tensor:transpose(a, b) end

--- dimensions a and b exchanged
---@param x moongrad.Tensor|number|table
---@param a integer|moongrad.options.op_transpose
---@param b integer|moongrad.options.op_transpose
---@return moongrad.Tensor
function mg.transpose(x, a, b) end

--- the dimensions in another order
---@param ... integer|integer[]
---@return moongrad.Tensor
function Tensor:permute(...) end

--- the dimensions in another order
---@param x moongrad.Tensor|number|table
---@param ... integer|integer[]
---@return moongrad.Tensor
function mg.permute(x, ...) end

---@class moongrad.options.op_narrow
---@field dim? integer
---@field first? integer
---@field count? integer

--- 'count' places of one dimension from place 'first'
---@param dim integer|moongrad.options.op_narrow
---@param first integer|moongrad.options.op_narrow
---@param count integer|moongrad.options.op_narrow
---@return moongrad.Tensor
function Tensor:narrow(dim, first, count) end

--- 'count' places of one dimension from place 'first'
---@param x moongrad.Tensor|number|table
---@param dim integer|moongrad.options.op_narrow
---@param first integer|moongrad.options.op_narrow
---@param count integer|moongrad.options.op_narrow
---@return moongrad.Tensor
function mg.narrow(x, dim, first, count) end

---@class moongrad.options.op_select
---@field dim? integer
---@field index? integer

--- one place of one dimension, which goes; a negative index is from the end
---@param dim integer|moongrad.options.op_select
---@param index integer|moongrad.options.op_select
---@return moongrad.Tensor
function Tensor:select(dim, index) end

--- one place of one dimension, which goes; a negative index is from the end
---@param x moongrad.Tensor|number|table
---@param dim integer|moongrad.options.op_select
---@param index integer|moongrad.options.op_select
---@return moongrad.Tensor
function mg.select(x, dim, index) end

---@class moongrad.options.op_squeeze
---@field dim? integer

--- without its dimensions of size 1, or without 'dim' if that is of size 1
---@param dim? integer|moongrad.options.op_squeeze
---@param options? moongrad.options.op_squeeze
---@return moongrad.Tensor
function Tensor:squeeze(dim, options) end

--- without its dimensions of size 1, or without 'dim' if that is of size 1
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_squeeze
---@param options? moongrad.options.op_squeeze
---@return moongrad.Tensor
function mg.squeeze(x, dim, options) end

---@class moongrad.options.op_unsqueeze
---@field dim? integer

--- with a new dimension of size 1 at 'dim'
---@param dim integer|moongrad.options.op_unsqueeze
---@return moongrad.Tensor
function Tensor:unsqueeze(dim) end

--- with a new dimension of size 1 at 'dim'
---@param x moongrad.Tensor|number|table
---@param dim integer|moongrad.options.op_unsqueeze
---@return moongrad.Tensor
function mg.unsqueeze(x, dim) end

--- repeated along dimensions of size 1 and new ones in front; -1 keeps a size
---@param ... integer|integer[]
---@return moongrad.Tensor
function Tensor:expand(...) end

--- repeated along dimensions of size 1 and new ones in front; -1 keeps a size
---@param x moongrad.Tensor|number|table
---@param ... integer|integer[]
---@return moongrad.Tensor
function mg.expand(x, ...) end

--- x itself when its numbers lie in row-major order, else such a copy
---@return moongrad.Tensor
function Tensor:contiguous() end

--- x itself when its numbers lie in row-major order, else such a copy
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.contiguous(x) end

--- a copy with storage of its own
---@return moongrad.Tensor
function Tensor:clone() end

--- a copy with storage of its own
---@param x moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.clone(x) end

---@class moongrad.options.op_cat
---@field dim? integer

--- tensors joined end to end along a dimension they have
---@param x moongrad.Tensor[]
---@param dim? integer|moongrad.options.op_cat
---@param options? moongrad.options.op_cat
---@return moongrad.Tensor
function mg.cat(x, dim, options) end

---@class moongrad.options.op_stack
---@field dim? integer

--- tensors of one shape side by side along a new dimension
---@param x moongrad.Tensor[]
---@param dim? integer|moongrad.options.op_stack
---@param options? moongrad.options.op_stack
---@return moongrad.Tensor
function mg.stack(x, dim, options) end

---@class moongrad.options.op_index_select
---@field dim? integer

--- the places of one dimension that ids names, in that order
---@param dim integer|moongrad.options.op_index_select
---@param ids moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:index_select(dim, ids) end

--- the places of one dimension that ids names, in that order
---@param x moongrad.Tensor|number|table
---@param dim integer|moongrad.options.op_index_select
---@param ids moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.index_select(x, dim, ids) end

---@class moongrad.options.op_gather
---@field dim? integer

--- one number for each id: of its own place in x, but in 'dim' of place id
---@param dim integer|moongrad.options.op_gather
---@param ids moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:gather(dim, ids) end

--- one number for each id: of its own place in x, but in 'dim' of place id
---@param x moongrad.Tensor|number|table
---@param dim integer|moongrad.options.op_gather
---@param ids moongrad.Tensor|number|table
---@return moongrad.Tensor
function mg.gather(x, dim, ids) end

---@class moongrad.options.op_one_hot
---@field n? integer

--- each id as n numbers, 1 at place id and 0 elsewhere
---@param n integer|moongrad.options.op_one_hot
---@return moongrad.Tensor
function Tensor:one_hot(n) end

--- each id as n numbers, 1 at place id and 0 elsewhere
---@param ids moongrad.Tensor|number|table
---@param n integer|moongrad.options.op_one_hot
---@return moongrad.Tensor
function mg.one_hot(ids, n) end

---@class moongrad.options.op_dot_attention
---@field heads? integer
---@field causal? boolean

--- softmax(q k' / sqrt(d)) v for each head, of q {batch, time, e}, k and v {batch, keys, e}; or k {batch, keys, 2 e} with v in it, or q {batch, time, 3 e} with both; mask: 1 where a key is seen, else 0, {batch, keys}, {time, keys} or {batch, time, keys}
---@param k? moongrad.Tensor|number|table
---@param v? moongrad.Tensor|number|table
---@param heads? integer|moongrad.options.op_dot_attention
---@param mask? moongrad.Tensor|number|table
---@param causal? boolean|moongrad.options.op_dot_attention
---@param options? moongrad.options.op_dot_attention
---@return moongrad.Tensor
function Tensor:dot_attention(k, v, heads, mask, causal, options) end

--- softmax(q k' / sqrt(d)) v for each head, of q {batch, time, e}, k and v {batch, keys, e}; or k {batch, keys, 2 e} with v in it, or q {batch, time, 3 e} with both; mask: 1 where a key is seen, else 0, {batch, keys}, {time, keys} or {batch, time, keys}
---@param q moongrad.Tensor|number|table
---@param k? moongrad.Tensor|number|table
---@param v? moongrad.Tensor|number|table
---@param heads? integer|moongrad.options.op_dot_attention
---@param mask? moongrad.Tensor|number|table
---@param causal? boolean|moongrad.options.op_dot_attention
---@param options? moongrad.options.op_dot_attention
---@return moongrad.Tensor
function mg.dot_attention(q, k, v, heads, mask, causal, options) end

---@class moongrad.options.op_dot_attention_dropout
---@field heads? integer
---@field causal? boolean
---@field p? number

--- dot_attention whose weights are set to 0 with probability p (below 1), else divided by 1 - p
---@param k? moongrad.Tensor|number|table
---@param v? moongrad.Tensor|number|table
---@param heads? integer|moongrad.options.op_dot_attention_dropout
---@param mask? moongrad.Tensor|number|table
---@param causal? boolean|moongrad.options.op_dot_attention_dropout
---@param p? number|moongrad.options.op_dot_attention_dropout
---@param options? moongrad.options.op_dot_attention_dropout
---@return moongrad.Tensor
function Tensor:dot_attention_dropout(k, v, heads, mask, causal, p, options) end

--- dot_attention whose weights are set to 0 with probability p (below 1), else divided by 1 - p
---@param q moongrad.Tensor|number|table
---@param k? moongrad.Tensor|number|table
---@param v? moongrad.Tensor|number|table
---@param heads? integer|moongrad.options.op_dot_attention_dropout
---@param mask? moongrad.Tensor|number|table
---@param causal? boolean|moongrad.options.op_dot_attention_dropout
---@param p? number|moongrad.options.op_dot_attention_dropout
---@param options? moongrad.options.op_dot_attention_dropout
---@return moongrad.Tensor
function mg.dot_attention_dropout(q, k, v, heads, mask, causal, p, options) end

---@class moongrad.options.op_embedding
---@field padding? integer

--- for each id, from 1, that row of weight {n, dim}; no gradient goes to the row of the id 'padding' (0: none)
---@param weight moongrad.Tensor|number|table
---@param padding? integer|moongrad.options.op_embedding
---@param options? moongrad.options.op_embedding
---@return moongrad.Tensor
function Tensor:embedding(weight, padding, options) end

--- x {.., time, features} plus sines and cosines that tell the places in time
---@return moongrad.Tensor
function Tensor:positional_encoding() end

--- x, or weight * x where x is below 0; weight {1}, or {c} for channels (dimension 2)
---@param weight moongrad.Tensor|number|table
---@return moongrad.Tensor
function Tensor:prelu(weight) end

---@class moongrad.options.op_batch_norm
---@field eps? number
---@field momentum? number

--- (x - mean) / sqrt(var + eps) * weight + bias, of each channel (dimension 2) of a batch; moves running_mean and running_var (unbiased) by momentum, counts batches
---@param weight? moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param running_mean? moongrad.Tensor|number|table
---@param running_var? moongrad.Tensor|number|table
---@param batches? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_batch_norm
---@param momentum? number|moongrad.options.op_batch_norm
---@param options? moongrad.options.op_batch_norm
---@return moongrad.Tensor
function Tensor:batch_norm(weight, bias, running_mean, running_var, batches, eps, momentum, options) end

--- (x - mean) / sqrt(var + eps) * weight + bias, of each channel (dimension 2) of a batch; moves running_mean and running_var (unbiased) by momentum, counts batches
---@param x moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param running_mean? moongrad.Tensor|number|table
---@param running_var? moongrad.Tensor|number|table
---@param batches? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_batch_norm
---@param momentum? number|moongrad.options.op_batch_norm
---@param options? moongrad.options.op_batch_norm
---@return moongrad.Tensor
function mg.batch_norm(x, weight, bias, running_mean, running_var, batches, eps, momentum, options) end

---@class moongrad.options.op_layer_norm
---@field eps? number
---@field dims? integer

--- (x - mean) / sqrt(var + eps) * weight + bias, over the last 'dims' dimensions
---@param weight? moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_layer_norm
---@param dims? integer|moongrad.options.op_layer_norm
---@param options? moongrad.options.op_layer_norm
---@return moongrad.Tensor
function Tensor:layer_norm(weight, bias, eps, dims, options) end

--- (x - mean) / sqrt(var + eps) * weight + bias, over the last 'dims' dimensions
---@param x moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_layer_norm
---@param dims? integer|moongrad.options.op_layer_norm
---@param options? moongrad.options.op_layer_norm
---@return moongrad.Tensor
function mg.layer_norm(x, weight, bias, eps, dims, options) end

---@class moongrad.options.op_group_norm
---@field eps? number
---@field groups? integer

--- (x - mean) / sqrt(var + eps) * weight + bias, over groups of channels (dimension 2) of each example
---@param groups integer|moongrad.options.op_group_norm
---@param weight? moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_group_norm
---@param options? moongrad.options.op_group_norm
---@return moongrad.Tensor
function Tensor:group_norm(groups, weight, bias, eps, options) end

--- (x - mean) / sqrt(var + eps) * weight + bias, over groups of channels (dimension 2) of each example
---@param x moongrad.Tensor|number|table
---@param groups integer|moongrad.options.op_group_norm
---@param weight? moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_group_norm
---@param options? moongrad.options.op_group_norm
---@return moongrad.Tensor
function mg.group_norm(x, groups, weight, bias, eps, options) end

---@class moongrad.options.op_rms_norm
---@field eps? number
---@field dims? integer

--- x / sqrt(mean(x^2) + eps) * weight, over the last 'dims' dimensions
---@param weight? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_rms_norm
---@param dims? integer|moongrad.options.op_rms_norm
---@param options? moongrad.options.op_rms_norm
---@return moongrad.Tensor
function Tensor:rms_norm(weight, eps, dims, options) end

--- x / sqrt(mean(x^2) + eps) * weight, over the last 'dims' dimensions
---@param x moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_rms_norm
---@param dims? integer|moongrad.options.op_rms_norm
---@param options? moongrad.options.op_rms_norm
---@return moongrad.Tensor
function mg.rms_norm(x, weight, eps, dims, options) end

---@class moongrad.options.op_standardize
---@field eps? number

--- (x - mean) / sqrt(var + eps) * weight + bias, with a mean and a var given for each channel (dimension 2)
---@param mean moongrad.Tensor|number|table
---@param var moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_standardize
---@param options? moongrad.options.op_standardize
---@return moongrad.Tensor
function Tensor:standardize(mean, var, weight, bias, eps, options) end

--- (x - mean) / sqrt(var + eps) * weight + bias, with a mean and a var given for each channel (dimension 2)
---@param x moongrad.Tensor|number|table
---@param mean moongrad.Tensor|number|table
---@param var moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param eps? number|moongrad.options.op_standardize
---@param options? moongrad.options.op_standardize
---@return moongrad.Tensor
function mg.standardize(x, mean, var, weight, bias, eps, options) end

---@class moongrad.options.op_recurrent
---@field cell? "tanh"|"relu"|"gru"|"lstm"
---@field reverse? boolean
---@field gives? "sequence"|"last"|"all"

--- one layer of rnn, gru or lstm over x {batch, time, features}: its states {batch, time, hidden}; the last one {batch, hidden}; or all, with the final h (and c) as further steps
---@param weight_ih moongrad.Tensor|number|table
---@param weight_hh moongrad.Tensor|number|table
---@param bias_ih? moongrad.Tensor|number|table
---@param bias_hh? moongrad.Tensor|number|table
---@param h? moongrad.Tensor|number|table
---@param c? moongrad.Tensor|number|table
---@param lengths? moongrad.Tensor|number|table
---@param cell? "tanh"|"relu"|"gru"|"lstm"|moongrad.options.op_recurrent
---@param reverse? boolean|moongrad.options.op_recurrent
---@param gives? "sequence"|"last"|"all"|moongrad.options.op_recurrent
---@param options? moongrad.options.op_recurrent
---@return moongrad.Tensor
function Tensor:recurrent(weight_ih, weight_hh, bias_ih, bias_hh, h, c, lengths, cell, reverse, gives, options) end

--- one layer of rnn, gru or lstm over x {batch, time, features}: its states {batch, time, hidden}; the last one {batch, hidden}; or all, with the final h (and c) as further steps
---@param x moongrad.Tensor|number|table
---@param weight_ih moongrad.Tensor|number|table
---@param weight_hh moongrad.Tensor|number|table
---@param bias_ih? moongrad.Tensor|number|table
---@param bias_hh? moongrad.Tensor|number|table
---@param h? moongrad.Tensor|number|table
---@param c? moongrad.Tensor|number|table
---@param lengths? moongrad.Tensor|number|table
---@param cell? "tanh"|"relu"|"gru"|"lstm"|moongrad.options.op_recurrent
---@param reverse? boolean|moongrad.options.op_recurrent
---@param gives? "sequence"|"last"|"all"|moongrad.options.op_recurrent
---@param options? moongrad.options.op_recurrent
---@return moongrad.Tensor
function mg.recurrent(x, weight_ih, weight_hh, bias_ih, bias_hh, h, c, lengths, cell, reverse, gives, options) end

---@class moongrad.options.op_conv
---@field stride? integer|integer[]
---@field padding? integer|integer[]|string
---@field dilation? integer|integer[]
---@field groups? integer
---@field act? string

--- convolution of {n, in, l} or {n, in, h, w} by weight {out, in / groups, ..}
---@param weight moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param stride? integer|integer[]|moongrad.options.op_conv
---@param padding? integer|integer[]|string|moongrad.options.op_conv
---@param dilation? integer|integer[]|moongrad.options.op_conv
---@param groups? integer|moongrad.options.op_conv
---@param act? string|moongrad.options.op_conv
---@param options? moongrad.options.op_conv
---@return moongrad.Tensor
function Tensor:conv(weight, bias, stride, padding, dilation, groups, act, options) end

--- convolution of {n, in, l} or {n, in, h, w} by weight {out, in / groups, ..}
---@param x moongrad.Tensor|number|table
---@param weight moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param stride? integer|integer[]|moongrad.options.op_conv
---@param padding? integer|integer[]|string|moongrad.options.op_conv
---@param dilation? integer|integer[]|moongrad.options.op_conv
---@param groups? integer|moongrad.options.op_conv
---@param act? string|moongrad.options.op_conv
---@param options? moongrad.options.op_conv
---@return moongrad.Tensor
function mg.conv(x, weight, bias, stride, padding, dilation, groups, act, options) end

---@class moongrad.options.op_conv_transpose
---@field stride? integer|integer[]
---@field padding? integer|integer[]
---@field dilation? integer|integer[]
---@field groups? integer
---@field output_padding? integer|integer[]

--- transposed convolution of {n, in, l} or {n, in, h, w} by weight {in, out / groups, ..}
---@param weight moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param stride? integer|integer[]|moongrad.options.op_conv_transpose
---@param padding? integer|integer[]|moongrad.options.op_conv_transpose
---@param dilation? integer|integer[]|moongrad.options.op_conv_transpose
---@param groups? integer|moongrad.options.op_conv_transpose
---@param output_padding? integer|integer[]|moongrad.options.op_conv_transpose
---@param options? moongrad.options.op_conv_transpose
---@return moongrad.Tensor
function Tensor:conv_transpose(weight, bias, stride, padding, dilation, groups, output_padding, options) end

--- transposed convolution of {n, in, l} or {n, in, h, w} by weight {in, out / groups, ..}
---@param x moongrad.Tensor|number|table
---@param weight moongrad.Tensor|number|table
---@param bias? moongrad.Tensor|number|table
---@param stride? integer|integer[]|moongrad.options.op_conv_transpose
---@param padding? integer|integer[]|moongrad.options.op_conv_transpose
---@param dilation? integer|integer[]|moongrad.options.op_conv_transpose
---@param groups? integer|moongrad.options.op_conv_transpose
---@param output_padding? integer|integer[]|moongrad.options.op_conv_transpose
---@param options? moongrad.options.op_conv_transpose
---@return moongrad.Tensor
function mg.conv_transpose(x, weight, bias, stride, padding, dilation, groups, output_padding, options) end

---@class moongrad.options.op_avg_pool
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]

--- the mean of each window, zeros around x included
---@param kernel integer|integer[]|moongrad.options.op_avg_pool
---@param stride? integer|integer[]|moongrad.options.op_avg_pool
---@param padding? integer|integer[]|moongrad.options.op_avg_pool
---@param options? moongrad.options.op_avg_pool
---@return moongrad.Tensor
function Tensor:avg_pool(kernel, stride, padding, options) end

--- the mean of each window, zeros around x included
---@param x moongrad.Tensor|number|table
---@param kernel integer|integer[]|moongrad.options.op_avg_pool
---@param stride? integer|integer[]|moongrad.options.op_avg_pool
---@param padding? integer|integer[]|moongrad.options.op_avg_pool
---@param options? moongrad.options.op_avg_pool
---@return moongrad.Tensor
function mg.avg_pool(x, kernel, stride, padding, options) end

---@class moongrad.options.op_max_pool
---@field kernel? integer|integer[]
---@field stride? integer|integer[]
---@field padding? integer|integer[]

--- the greatest number of each window; the first of equal ones gets the gradient
---@param kernel integer|integer[]|moongrad.options.op_max_pool
---@param stride? integer|integer[]|moongrad.options.op_max_pool
---@param padding? integer|integer[]|moongrad.options.op_max_pool
---@param options? moongrad.options.op_max_pool
---@return moongrad.Tensor
function Tensor:max_pool(kernel, stride, padding, options) end

--- the greatest number of each window; the first of equal ones gets the gradient
---@param x moongrad.Tensor|number|table
---@param kernel integer|integer[]|moongrad.options.op_max_pool
---@param stride? integer|integer[]|moongrad.options.op_max_pool
---@param padding? integer|integer[]|moongrad.options.op_max_pool
---@param options? moongrad.options.op_max_pool
---@return moongrad.Tensor
function mg.max_pool(x, kernel, stride, padding, options) end

---@class moongrad.options.op_adaptive_avg_pool
---@field size? integer|integer[]

--- means of windows that share x out among 'size' results
---@param size integer|integer[]|moongrad.options.op_adaptive_avg_pool
---@return moongrad.Tensor
function Tensor:adaptive_avg_pool(size) end

--- means of windows that share x out among 'size' results
---@param x moongrad.Tensor|number|table
---@param size integer|integer[]|moongrad.options.op_adaptive_avg_pool
---@return moongrad.Tensor
function mg.adaptive_avg_pool(x, size) end

---@class moongrad.options.op_adaptive_max_pool
---@field size? integer|integer[]

--- greatest numbers of windows that share x out among 'size' results
---@param size integer|integer[]|moongrad.options.op_adaptive_max_pool
---@return moongrad.Tensor
function Tensor:adaptive_max_pool(size) end

--- greatest numbers of windows that share x out among 'size' results
---@param x moongrad.Tensor|number|table
---@param size integer|integer[]|moongrad.options.op_adaptive_max_pool
---@return moongrad.Tensor
function mg.adaptive_max_pool(x, size) end

---@class moongrad.options.op_pad
---@field before? integer|integer[]
---@field after? integer|integer[]|string
---@field mode? "zero"|"reflect"|"replicate"

--- numbers around x: zeros, x reflected at its edge, or its edge again
---@param before integer|integer[]|moongrad.options.op_pad
---@param after? integer|integer[]|string|moongrad.options.op_pad
---@param mode? "zero"|"reflect"|"replicate"|moongrad.options.op_pad
---@param options? moongrad.options.op_pad
---@return moongrad.Tensor
function Tensor:pad(before, after, mode, options) end

--- numbers around x: zeros, x reflected at its edge, or its edge again
---@param x moongrad.Tensor|number|table
---@param before integer|integer[]|moongrad.options.op_pad
---@param after? integer|integer[]|string|moongrad.options.op_pad
---@param mode? "zero"|"reflect"|"replicate"|moongrad.options.op_pad
---@param options? moongrad.options.op_pad
---@return moongrad.Tensor
function mg.pad(x, before, after, mode, options) end

---@class moongrad.options.op_upsample
---@field factor? integer|integer[]
---@field mode? "nearest"|"bilinear"|"linear"

--- x scaled up by a whole factor; linear in between where it is bilinear
---@param factor integer|integer[]|moongrad.options.op_upsample
---@param mode? "nearest"|"bilinear"|"linear"|moongrad.options.op_upsample
---@param options? moongrad.options.op_upsample
---@return moongrad.Tensor
function Tensor:upsample(factor, mode, options) end

--- x scaled up by a whole factor; linear in between where it is bilinear
---@param x moongrad.Tensor|number|table
---@param factor integer|integer[]|moongrad.options.op_upsample
---@param mode? "nearest"|"bilinear"|"linear"|moongrad.options.op_upsample
---@param options? moongrad.options.op_upsample
---@return moongrad.Tensor
function mg.upsample(x, factor, mode, options) end

---@class moongrad.options.op_softmax
---@field dim? integer

--- exp(x) / sum(exp(x)) along 'dim': numbers as probabilities
---@param dim? integer|moongrad.options.op_softmax
---@param options? moongrad.options.op_softmax
---@return moongrad.Tensor
function Tensor:softmax(dim, options) end

--- exp(x) / sum(exp(x)) along 'dim': numbers as probabilities
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_softmax
---@param options? moongrad.options.op_softmax
---@return moongrad.Tensor
function mg.softmax(x, dim, options) end

---@class moongrad.options.op_log_softmax
---@field dim? integer

--- logarithm of softmax along 'dim', without its rounding to 0
---@param dim? integer|moongrad.options.op_log_softmax
---@param options? moongrad.options.op_log_softmax
---@return moongrad.Tensor
function Tensor:log_softmax(dim, options) end

--- logarithm of softmax along 'dim', without its rounding to 0
---@param x moongrad.Tensor|number|table
---@param dim? integer|moongrad.options.op_log_softmax
---@param options? moongrad.options.op_log_softmax
---@return moongrad.Tensor
function mg.log_softmax(x, dim, options) end

---@class moongrad.options.op_dropout
---@field p? number

--- each number set to 0 with probability p, else divided by 1 - p
---@param p? number|moongrad.options.op_dropout
---@param options? moongrad.options.op_dropout
---@return moongrad.Tensor
function Tensor:dropout(p, options) end

---@class moongrad.options.op_spatial_dropout
---@field p? number

--- each channel (dimension 2) of each example set to 0 with probability p, else divided by 1 - p
---@param p? number|moongrad.options.op_spatial_dropout
---@param options? moongrad.options.op_spatial_dropout
---@return moongrad.Tensor
function Tensor:spatial_dropout(p, options) end

---@class moongrad.options.op_mse
---@field reduction? "mean"|"sum"|"none"

--- mean squared error: (prediction - target)^2
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_mse
---@param options? moongrad.options.op_mse
---@return moongrad.Tensor
function Tensor:mse(target, reduction, options) end

--- mean squared error: (prediction - target)^2
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_mse
---@param options? moongrad.options.op_mse
---@return moongrad.Tensor
function mg.mse(prediction, target, reduction, options) end

---@class moongrad.options.op_mae
---@field reduction? "mean"|"sum"|"none"

--- mean absolute error: |prediction - target|
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_mae
---@param options? moongrad.options.op_mae
---@return moongrad.Tensor
function Tensor:mae(target, reduction, options) end

--- mean absolute error: |prediction - target|
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_mae
---@param options? moongrad.options.op_mae
---@return moongrad.Tensor
function mg.mae(prediction, target, reduction, options) end

---@class moongrad.options.op_huber
---@field reduction? "mean"|"sum"|"none"
---@field delta? number

--- squared error, halved, up to delta, and from there a straight line
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_huber
---@param delta? number|moongrad.options.op_huber
---@param options? moongrad.options.op_huber
---@return moongrad.Tensor
function Tensor:huber(target, reduction, delta, options) end

--- squared error, halved, up to delta, and from there a straight line
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_huber
---@param delta? number|moongrad.options.op_huber
---@param options? moongrad.options.op_huber
---@return moongrad.Tensor
function mg.huber(prediction, target, reduction, delta, options) end

---@class moongrad.options.op_bce
---@field reduction? "mean"|"sum"|"none"

--- binary cross entropy of probabilities and targets from 0 to 1
---@param target moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_bce
---@param options? moongrad.options.op_bce
---@return moongrad.Tensor
function Tensor:bce(target, weight, reduction, options) end

--- binary cross entropy of probabilities and targets from 0 to 1
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_bce
---@param options? moongrad.options.op_bce
---@return moongrad.Tensor
function mg.bce(prediction, target, weight, reduction, options) end

---@class moongrad.options.op_bce_with_logits
---@field reduction? "mean"|"sum"|"none"

--- binary cross entropy of sigmoid(prediction), exact for any size of it; a yes, a target of 1, counts pos_weight times, a number or one for each class {classes}
---@param target moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param pos_weight? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_bce_with_logits
---@param options? moongrad.options.op_bce_with_logits
---@return moongrad.Tensor
function Tensor:bce_with_logits(target, weight, pos_weight, reduction, options) end

--- binary cross entropy of sigmoid(prediction), exact for any size of it; a yes, a target of 1, counts pos_weight times, a number or one for each class {classes}
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param pos_weight? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_bce_with_logits
---@param options? moongrad.options.op_bce_with_logits
---@return moongrad.Tensor
function mg.bce_with_logits(prediction, target, weight, pos_weight, reduction, options) end

---@class moongrad.options.op_cross_entropy
---@field reduction? "mean"|"sum"|"none"
---@field label_smoothing? number
---@field ignore? number

--- nll of log_softmax of logits {n, classes, ...}; the target is labels from 1, or probabilities in the shape of the logits
---@param target moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_cross_entropy
---@param label_smoothing? number|moongrad.options.op_cross_entropy
---@param ignore? number|moongrad.options.op_cross_entropy
---@param options? moongrad.options.op_cross_entropy
---@return moongrad.Tensor
function Tensor:cross_entropy(target, weight, reduction, label_smoothing, ignore, options) end

--- nll of log_softmax of logits {n, classes, ...}; the target is labels from 1, or probabilities in the shape of the logits
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_cross_entropy
---@param label_smoothing? number|moongrad.options.op_cross_entropy
---@param ignore? number|moongrad.options.op_cross_entropy
---@param options? moongrad.options.op_cross_entropy
---@return moongrad.Tensor
function mg.cross_entropy(prediction, target, weight, reduction, label_smoothing, ignore, options) end

---@class moongrad.options.op_nll
---@field reduction? "mean"|"sum"|"none"
---@field ignore? number

--- minus the log-probability {n, classes, ...} of each label from 1, times its class's weight; rows labelled 'ignore' count nothing, and a mean of none is 0
---@param target moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_nll
---@param ignore? number|moongrad.options.op_nll
---@param options? moongrad.options.op_nll
---@return moongrad.Tensor
function Tensor:nll(target, weight, reduction, ignore, options) end

--- minus the log-probability {n, classes, ...} of each label from 1, times its class's weight; rows labelled 'ignore' count nothing, and a mean of none is 0
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param weight? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_nll
---@param ignore? number|moongrad.options.op_nll
---@param options? moongrad.options.op_nll
---@return moongrad.Tensor
function mg.nll(prediction, target, weight, reduction, ignore, options) end

---@class moongrad.options.op_kl_div
---@field reduction? "mean"|"sum"|"none"|"batchmean"

--- Kullback-Leibler divergence of log-probabilities from target probabilities; the mean is over all numbers, batchmean over the examples
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|"batchmean"|moongrad.options.op_kl_div
---@param options? moongrad.options.op_kl_div
---@return moongrad.Tensor
function Tensor:kl_div(target, reduction, options) end

--- Kullback-Leibler divergence of log-probabilities from target probabilities; the mean is over all numbers, batchmean over the examples
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|"batchmean"|moongrad.options.op_kl_div
---@param options? moongrad.options.op_kl_div
---@return moongrad.Tensor
function mg.kl_div(prediction, target, reduction, options) end

---@class moongrad.options.op_hinge
---@field reduction? "mean"|"sum"|"none"

--- max(0, 1 - target * prediction), targets -1 or 1
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_hinge
---@param options? moongrad.options.op_hinge
---@return moongrad.Tensor
function Tensor:hinge(target, reduction, options) end

--- max(0, 1 - target * prediction), targets -1 or 1
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_hinge
---@param options? moongrad.options.op_hinge
---@return moongrad.Tensor
function mg.hinge(prediction, target, reduction, options) end

---@class moongrad.options.op_margin_ranking
---@field reduction? "mean"|"sum"|"none"
---@field margin? number

--- max(0, margin - target * (a - b)): a above b where target is 1, else below
---@param b moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_margin_ranking
---@param margin? number|moongrad.options.op_margin_ranking
---@param options? moongrad.options.op_margin_ranking
---@return moongrad.Tensor
function Tensor:margin_ranking(b, target, reduction, margin, options) end

--- max(0, margin - target * (a - b)): a above b where target is 1, else below
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_margin_ranking
---@param margin? number|moongrad.options.op_margin_ranking
---@param options? moongrad.options.op_margin_ranking
---@return moongrad.Tensor
function mg.margin_ranking(a, b, target, reduction, margin, options) end

---@class moongrad.options.op_cosine_embedding
---@field reduction? "mean"|"sum"|"none"
---@field margin? number

--- of each row, 1 - cos(a, b) where target is 1, max(0, cos(a, b) - margin) where -1
---@param b moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_cosine_embedding
---@param margin? number|moongrad.options.op_cosine_embedding
---@param options? moongrad.options.op_cosine_embedding
---@return moongrad.Tensor
function Tensor:cosine_embedding(b, target, reduction, margin, options) end

--- of each row, 1 - cos(a, b) where target is 1, max(0, cos(a, b) - margin) where -1
---@param a moongrad.Tensor|number|table
---@param b moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_cosine_embedding
---@param margin? number|moongrad.options.op_cosine_embedding
---@param options? moongrad.options.op_cosine_embedding
---@return moongrad.Tensor
function mg.cosine_embedding(a, b, target, reduction, margin, options) end

---@class moongrad.options.op_focal
---@field reduction? "mean"|"sum"|"none"
---@field gamma? number
---@field alpha? number

--- bce_with_logits that counts what is nearly right less, by the power 'gamma', and targets of 1 by 'alpha', others by 1 - alpha; alpha below 0: all alike
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_focal
---@param gamma? number|moongrad.options.op_focal
---@param alpha? number|moongrad.options.op_focal
---@param options? moongrad.options.op_focal
---@return moongrad.Tensor
function Tensor:focal(target, reduction, gamma, alpha, options) end

--- bce_with_logits that counts what is nearly right less, by the power 'gamma', and targets of 1 by 'alpha', others by 1 - alpha; alpha below 0: all alike
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_focal
---@param gamma? number|moongrad.options.op_focal
---@param alpha? number|moongrad.options.op_focal
---@param options? moongrad.options.op_focal
---@return moongrad.Tensor
function mg.focal(prediction, target, reduction, gamma, alpha, options) end

---@class moongrad.options.op_triplet
---@field reduction? "mean"|"sum"|"none"
---@field margin? number
---@field p? number
---@field swap? boolean
---@field eps? number

--- of each row, max(0, margin + distance(anchor, positive) - distance(anchor, negative)), distances by the p-norm; 'swap' takes the negative's distance from the positive where that is less
---@param positive moongrad.Tensor|number|table
---@param negative moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_triplet
---@param margin? number|moongrad.options.op_triplet
---@param p? number|moongrad.options.op_triplet
---@param swap? boolean|moongrad.options.op_triplet
---@param eps? number|moongrad.options.op_triplet
---@param options? moongrad.options.op_triplet
---@return moongrad.Tensor
function Tensor:triplet(positive, negative, reduction, margin, p, swap, eps, options) end

--- of each row, max(0, margin + distance(anchor, positive) - distance(anchor, negative)), distances by the p-norm; 'swap' takes the negative's distance from the positive where that is less
---@param anchor moongrad.Tensor|number|table
---@param positive moongrad.Tensor|number|table
---@param negative moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_triplet
---@param margin? number|moongrad.options.op_triplet
---@param p? number|moongrad.options.op_triplet
---@param swap? boolean|moongrad.options.op_triplet
---@param eps? number|moongrad.options.op_triplet
---@param options? moongrad.options.op_triplet
---@return moongrad.Tensor
function mg.triplet(anchor, positive, negative, reduction, margin, p, swap, eps, options) end

---@class moongrad.options.op_ctc
---@field reduction? "mean"|"sum"|"none"
---@field blank? integer
---@field zero_infinity? boolean

--- connectionist temporal classification of log-probabilities {batch, time, classes} and labels {batch, most}, of which the first target_lengths count, in the first input_lengths steps; class 'blank' (from 1) stands between labels; labels that do not fit into the time cost infinity, or 0 with zero_infinity
---@param target moongrad.Tensor|number|table
---@param input_lengths? moongrad.Tensor|number|table
---@param target_lengths? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_ctc
---@param blank? integer|moongrad.options.op_ctc
---@param zero_infinity? boolean|moongrad.options.op_ctc
---@param options? moongrad.options.op_ctc
---@return moongrad.Tensor
function Tensor:ctc(target, input_lengths, target_lengths, reduction, blank, zero_infinity, options) end

--- connectionist temporal classification of log-probabilities {batch, time, classes} and labels {batch, most}, of which the first target_lengths count, in the first input_lengths steps; class 'blank' (from 1) stands between labels; labels that do not fit into the time cost infinity, or 0 with zero_infinity
---@param prediction moongrad.Tensor|number|table
---@param target moongrad.Tensor|number|table
---@param input_lengths? moongrad.Tensor|number|table
---@param target_lengths? moongrad.Tensor|number|table
---@param reduction? "mean"|"sum"|"none"|moongrad.options.op_ctc
---@param blank? integer|moongrad.options.op_ctc
---@param zero_infinity? boolean|moongrad.options.op_ctc
---@param options? moongrad.options.op_ctc
---@return moongrad.Tensor
function mg.ctc(prediction, target, input_lengths, target_lengths, reduction, blank, zero_infinity, options) end

---@class moongrad.options.sgd
---@field lr? moongrad.Rate
---@field momentum? number
---@field nesterov? boolean
---@field weight_decay? number
---@field dampening? number
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- gradient descent: v = momentum * v + g; w = w - lr * v
---@param options? moongrad.options.sgd
---@return moongrad.Optimizer
function mg.sgd(options) end

---@class moongrad.options.adam
---@field lr? moongrad.Rate
---@field beta1? number
---@field beta2? number
---@field eps? number
---@field weight_decay? number
---@field amsgrad? boolean
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- steps scaled by running means of the gradient and its square
---@param options? moongrad.options.adam
---@return moongrad.Optimizer
function mg.adam(options) end

---@class moongrad.options.adamw
---@field lr? moongrad.Rate
---@field beta1? number
---@field beta2? number
---@field eps? number
---@field weight_decay? number
---@field amsgrad? boolean
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- adam whose weight decay does not pass through the gradient
---@param options? moongrad.options.adamw
---@return moongrad.Optimizer
function mg.adamw(options) end

---@class moongrad.options.nadam
---@field lr? moongrad.Rate
---@field beta1? number
---@field beta2? number
---@field eps? number
---@field weight_decay? number
---@field momentum_decay? number
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- adam that looks one step of its momentum ahead
---@param options? moongrad.options.nadam
---@return moongrad.Optimizer
function mg.nadam(options) end

---@class moongrad.options.adamax
---@field lr? moongrad.Rate
---@field beta1? number
---@field beta2? number
---@field eps? number
---@field weight_decay? number
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- adam with the largest gradient of late in place of the root
---@param options? moongrad.options.adamax
---@return moongrad.Optimizer
function mg.adamax(options) end

---@class moongrad.options.lion
---@field lr? moongrad.Rate
---@field beta1? number
---@field beta2? number
---@field weight_decay? number
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- steps of one size, by the sign of a running mean of the gradient
---@param options? moongrad.options.lion
---@return moongrad.Optimizer
function mg.lion(options) end

---@class moongrad.options.rmsprop
---@field lr? moongrad.Rate
---@field alpha? number
---@field eps? number
---@field momentum? number
---@field centered? boolean
---@field weight_decay? number
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- steps divided by the root of a running mean of g * g
---@param options? moongrad.options.rmsprop
---@return moongrad.Optimizer
function mg.rmsprop(options) end

---@class moongrad.options.adagrad
---@field lr? moongrad.Rate
---@field lr_decay? number
---@field eps? number
---@field weight_decay? number
---@field initial_accumulator? number
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- steps divided by the root of the sum of all g * g so far
---@param options? moongrad.options.adagrad
---@return moongrad.Optimizer
function mg.adagrad(options) end

---@class moongrad.options.adadelta
---@field lr? moongrad.Rate
---@field rho? number
---@field eps? number
---@field weight_decay? number
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- steps as long as those of late, divided by the root of a running mean of g * g
---@param options? moongrad.options.adadelta
---@return moongrad.Optimizer
function mg.adadelta(options) end

---@class moongrad.options.rprop
---@field lr? moongrad.Rate
---@field eta_minus? number
---@field eta_plus? number
---@field step_min? number
---@field step_max? number
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- steps by the gradient's sign alone, longer while it stays, shorter when it turns; for whole data, not for batches
---@param options? moongrad.options.rprop
---@return moongrad.Optimizer
function mg.rprop(options) end

---@class moongrad.options.lbfgs
---@field lr? moongrad.Rate
---@field max_iter? integer
---@field max_eval? integer
---@field tolerance_grad? number
---@field tolerance_change? number
---@field history? integer
---@field clip_norm? number
---@field clip_value? number
---@field l1? number
---@field l2? number
---@field ema? number
---@field groups? table[]

--- a step is up to max_iter moves, each along a line and by what the last ones told of the curvature; on the same data, with a function for the loss
---@param options? moongrad.options.lbfgs
---@return moongrad.Optimizer
function mg.lbfgs(options) end

---@class moongrad.options.schedule.step
---@field lr? moongrad.Rate
---@field step_size? number
---@field gamma? number

--- lr, times gamma every step_size steps
---@param options moongrad.options.schedule.step
---@return moongrad.Schedule
function mg.schedule.step(options) end

---@class moongrad.options.schedule.exponential
---@field lr? moongrad.Rate
---@field gamma? number
---@field step_size? number

--- lr, times gamma every step, or in step_size steps
---@param options moongrad.options.schedule.exponential
---@return moongrad.Schedule
function mg.schedule.exponential(options) end

---@class moongrad.options.schedule.cosine
---@field lr? moongrad.Rate
---@field steps? number
---@field min_lr? number

--- from lr to min_lr in 'steps' steps, along a cosine
---@param options moongrad.options.schedule.cosine
---@return moongrad.Schedule
function mg.schedule.cosine(options) end

---@class moongrad.options.schedule.linear_warmup
---@field lr? moongrad.Rate
---@field steps? number
---@field start_factor? number
---@field after? moongrad.Rate

--- from lr * start_factor to lr in 'steps' steps; then 'after', or lr
---@param options moongrad.options.schedule.linear_warmup
---@return moongrad.Schedule
function mg.schedule.linear_warmup(options) end

---@class moongrad.options.schedule.one_cycle
---@field lr? moongrad.Rate
---@field steps? number
---@field pct_start? number
---@field div_factor? number
---@field final_div_factor? number
---@field anneal? "cos"|"linear"
---@field three_phase? boolean

--- from lr / div_factor up to lr, then down to far below it (Smith and Topin, 2018)
---@param options moongrad.options.schedule.one_cycle
---@return moongrad.Schedule
function mg.schedule.one_cycle(options) end

---@class moongrad.options.schedule.plateau
---@field lr? moongrad.Rate
---@field factor? number
---@field patience? number
---@field metric? string
---@field mode? "min"|"max"
---@field threshold? number
---@field threshold_mode? "rel"|"abs"
---@field cooldown? number
---@field min_lr? number
---@field eps? number

--- lr, times 'factor' when a number of the epoch's report has not got better for more than 'patience' epochs
---@param options moongrad.options.schedule.plateau
---@return moongrad.Plateau
function mg.schedule.plateau(options) end

--- a tensor of a number, of nested tables of one shape, or of a tensor's numbers
---@param v any
---@param options? table
---@return moongrad.Tensor
function mg.tensor(v, options) end

--- zeros; sizes one by one or in a table, as in all that follow
---@param sizes integer|integer[]
---@param ... any
---@return moongrad.Tensor
function mg.zeros(sizes, ...) end

--- ones
---@param sizes integer|integer[]
---@param ... any
---@return moongrad.Tensor
function mg.ones(sizes, ...) end

--- v everywhere
---@param sizes integer|integer[]
---@param v any
---@param ... any
---@return moongrad.Tensor
function mg.full(sizes, v, ...) end

--- {n, n} with ones on the diagonal
---@param n integer
---@return moongrad.Tensor
function mg.eye(n) end

--- first, first + step, .. up to last, as Lua's for
---@param first number
---@param last number
---@param step? number
---@return moongrad.Tensor
function mg.arange(first, last, step) end

--- n numbers at even distances, both ends included
---@param first number
---@param last number
---@param n integer
---@return moongrad.Tensor
function mg.linspace(first, last, n) end

--- random numbers from 0 to 1, even
---@param sizes integer|integer[]
---@param ... any
---@return moongrad.Tensor
function mg.rand(sizes, ...) end

--- random numbers of mean 0 and deviation 1, normal
---@param sizes integer|integer[]
---@param ... any
---@return moongrad.Tensor
function mg.randn(sizes, ...) end

--- the integers from 1 to n in random order
---@param n integer
---@return moongrad.Tensor
function mg.randperm(n) end

--- begins the random numbers of this Lua state anew; the same n gives the same everywhere
---@param n integer
function mg.seed(n) end

--- a tensor of raw little-endian bytes of type f64, f32, f16, bf16, i64 to i8 or u64 to u8; bytes may be a function that returns them in pieces
---@param bytes string
---@param shape integer[]
---@param type? string
---@return moongrad.Tensor
function mg.from_string(bytes, shape, type) end

--- the size of dimension d; without d all sizes
---@param d? any
---@return integer|integer[]
function Tensor:size(d) end

--- how many dimensions there are
---@return integer
function Tensor:dim() end

--- how many numbers there are
---@return integer
function Tensor:numel() end

--- the number of a tensor that holds one
---@return number
function Tensor:item() end

--- nested tables of its numbers, or a number where it has no dimensions
---@return any
function Tensor:totable() end

--- one number by its indices, from 1 or from the end as -1
---@param i integer
---@param j integer
---@param ... any
---@return number
function Tensor:get(i, j, ...) end

--- sets one number, or with fewer indices a part to a number, table or tensor; returns the tensor
---@param i integer
---@param j integer
---@param v any
---@param ... any
---@return moongrad.Tensor
function Tensor:set(i, j, v, ...) end

--- sets all numbers to v in place
---@param v any
---@return moongrad.Tensor
function Tensor:fill(v) end

--- takes the numbers of a tensor in place, which broadcasts
---@param source any
---@return moongrad.Tensor
function Tensor:copy(source) end

--- adds b in place
---@param b any
---@return moongrad.Tensor
function Tensor:add_(b) end

--- subtracts b in place
---@param b any
---@return moongrad.Tensor
function Tensor:sub_(b) end

--- multiplies by b in place
---@param b any
---@return moongrad.Tensor
function Tensor:mul_(b) end

--- divides by b in place
---@param b any
---@return moongrad.Tensor
function Tensor:div_(b) end

--- the same as reshape
---@param sizes integer|integer[]
---@param ... any
---@return moongrad.Tensor
function Tensor:view(sizes, ...) end

--- a list of views of n elements each along dim, the last perhaps of fewer
---@param n integer
---@param dim? integer
---@return moongrad.Tensor[]
function Tensor:split(n, dim) end

--- a list of at most n views of equal size along dim, the last perhaps smaller
---@param n integer
---@param dim? integer
---@return moongrad.Tensor[]
function Tensor:chunk(n, dim) end

--- the same numbers without history: gradients end there
---@return moongrad.Tensor
function Tensor:detach() end

--- raw little-endian bytes, as mg.from_string takes them; of count numbers from the first-th on
---@param type? string
---@param first? number
---@param count? integer
---@return string
function Tensor:to_string(type, first, count) end

--- frees it now, not when it is collected; any later use is an error
function Tensor:close() end

--- fills .grad of each leaf that the tensor, a single number, is made of; once, unless retain
---@param options? table
function Tensor:backward(options) end

--- a table of the gradients of loss in a, b, ..; no .grad changes
---@param loss any
---@param options table
---@param options? table
---@return moongrad.Tensor[]
function mg.grad(loss, options, options) end

--- returns what f(..) does, run without recording
---@param f function
---@param ... any
---@return any
function mg.no_grad(f, ...) end

--- the worst relative error of the gradients of f(inputs..), which returns a number, against central differences
---@param f fun(...: moongrad.Tensor): moongrad.Tensor
---@param inputs any
---@return number
function mg.gradcheck(f, inputs) end

--- while on, which is slow, the first op that makes NaN or infinities of finite numbers is an error that names it and its layer; returns whether it was on
---@param on boolean
---@return boolean
function mg.anomaly(on) end

--- a class of layers, called with init's arguments; layers and tensors in fields of self are its parts, a file keeps name and arguments
---@param name string
---@param options table
---@param ... any
---@return fun(...): moongrad.Layer
function mg.module(name, options, ...) end

--- promises that f, a layer's function, a class's forward or a loss, applies ops alone and the same ones each time, so that training and predict may replay them; returns f
---@param f function
---@return function
function mg.pure(f) end

--- a list of {name=, tensor=} in a fixed order; with true buffers too, marked by buffer=true
---@param all? any
---@return { name: string, tensor: moongrad.Tensor }[]
function Layer:parameters(all) end

--- all parameters and buffers as a table by name
---@return table<string, moongrad.Tensor>
function Layer:named() end

--- how many numbers are learnt
---@return integer
function Layer:num_parameters() end

--- the result in eval mode and without recording, in a new tensor or in out; x may be a table
---@param x any
---@param out? any
---@return moongrad.Tensor
function Layer:predict(x, out) end

--- switches it and its parts to training, where dropout drops; returns the layer
---@param on? boolean
---@return moongrad.Layer
function Layer:train(on) end

--- switches it and its parts to eval mode; returns the layer
---@return moongrad.Layer
function Layer:eval() end

--- keeps its parameters as they are while a net is trained; returns the layer
---@param on? boolean
---@return moongrad.Layer
function Layer:freeze(on) end

--- lets them learn again; returns the layer
---@return moongrad.Layer
function Layer:unfreeze() end

--- clears the gradients of all parameters; returns the layer
---@return moongrad.Layer
function Layer:zero_grad() end

--- makes its parameters for inputs of this shape, the batch included; returns the layer
---@param sizes integer|integer[]
---@param ... any
---@return moongrad.Layer
function Layer:build(sizes, ...) end

--- puts a layer at the end of a container, or in the place of the one of that name
---@param layer any
---@param name? string
---@return moongrad.Layer
function Layer:add(layer, name) end

--- a copy with parameters of its own
---@return moongrad.Layer
function Layer:clone() end

--- 16 hexadecimal digits made of all parameters and buffers, equal where every bit is
---@return string
function Layer:hash() end

--- a table of layers, result shapes and parameters, to be printed; sizes are those of one example
---@param sizes? integer|integer[]
---@return string
function Layer:summary(sizes) end

--- kind, name, training, input, output and parts of a layer as a table
---@return table
function Layer:describe() end

--- writes it as mg.save does
---@param path string
---@return boolean?
---@return string? message
---@return any code
function Layer:save(path) end

--- copies all weights and buffers by their names, or none where names or shapes differ; rename tells the net's name for a foreign one, {[foreign] = own} or a function, false to leave one out; the layer, or nil, a message and a code when a file cannot be read
---@param path any
---@param rename? any
---@return moongrad.Layer?
---@return string? message
---@return any code
function Layer:load_weights(path, rename) end

--- frees it now, not when it is collected; any later use is an error
function Layer:close() end

--- the optimizers as a table by name
mg.optimizers = {}

--- a group for biases and norms that weight decay leaves alone: groups = { mg.no_decay }
mg.no_decay = {}

--- tells what it is to change; returns the optimizer
---@param layer any
---@return moongrad.Optimizer
function Optimizer:attach(layer) end

--- one update by the gradients that are there; or f computes the loss with its gradients, as often as it is asked, and the first loss is returned
---@param f? function
---@return number?
function Optimizer:step(f) end

--- clears the gradients of all that is attached; returns the optimizer
---@return moongrad.Optimizer
function Optimizer:zero_grad() end

--- returns what f(..) does with the averaged weights (option ema) in place of the others
---@param f function
---@param ... any
---@return any
function Optimizer:averaged(f, ...) end

--- tells a rate that waits for a plateau how an epoch went: a number, or a trainer's report
---@param report any
---@return moongrad.Optimizer
function Optimizer:observe(report) end

--- frees it now, not when it is collected; any later use is an error
function Optimizer:close() end

--- trains a net; each part is an object, a name or a function. metrics: a list of names, {top_k = 5} or functions; class_weight: how much each class counts; accumulate: batches that share an update; anomaly: looks for the first NaN; plan = false: replays nothing
---@param options table
---@return moongrad.Trainer
function mg.trainer(options) end

--- trains on one batch; returns its mean loss
---@param x any
---@param y any
---@return number
function Trainer:step(x, y) end

--- for row in trainer:epochs(..): trains an epoch a round, row has epoch, loss, seconds, examples, each metric, and val_ of all with validation data
---@param n integer
---@param data any
---@param options? table
---@return fun(): table?
function Trainer:epochs(n, data, options) end

--- trains up to n epochs; returns their rows, or nil, a message and a code where a file cannot be written. patience: epochs without a better one that it waits; log: a file of JSON lines; checkpoint: a file for trainer:load
---@param n integer
---@param data any
---@param options? table
---@return table[]?
---@return string? message
---@return any code
function Trainer:fit(n, data, options) end

--- trains for ms milliseconds or steps batches; returns "more" or "done" and the mean loss; the same data goes on where the last call stopped. Time may be over in the middle of a batch: until the next call all is as after the batch before, but gradients may be nil
---@param data any
---@param options table
---@return string state
---@return number loss
function Trainer:run(data, options) end

--- loss and metrics over data, in eval mode, as a table by name
---@param data any
---@param options? table
---@return table
function Trainer:evaluate(data, options) end

--- writes all that training goes on from: weights, optimizer, random numbers, the place in the run; true, or nil, a message and a code
---@param path string
---@return boolean?
---@return string? message
---@return any code
function Trainer:save(path) end

--- goes on from there, bit for bit; run = false takes no place in a run; true, or nil, a message and a code
---@param path string
---@param options? table
---@return boolean?
---@return string? message
---@return any code
function Trainer:load(path, options) end

--- the epoch, and how many of its examples are done
---@return integer epoch
---@return integer done
function Trainer:position() end

--- net, optimizer and metrics as a table
---@return { net: moongrad.Layer, optimizer: moongrad.Optimizer, metrics: table[] }
function Trainer:parts() end

--- frees it now, not when it is collected; any later use is an error
function Trainer:close() end

--- examples x {n, ..} and targets y {n, ..}, tensors or nested tables, as a dataset
---@param x any
---@param y any
---@return moongrad.Dataset
function mg.data.tensors(x, y) end

--- a dataset of {x=, y=}, or the dataset that d is
---@param d any
---@return moongrad.Dataset
function mg.data.dataset(d) end

--- mg.data["function"] by a name that can be written with a dot
---@param f function
---@param n integer
---@return moongrad.Dataset
function mg.data.func(f, n) end

--- two idx files, plain or gzip, as a dataset: numbers from 0 to 1, labels from 1; or nil and a message
---@param images string
---@param labels string
---@return moongrad.Dataset?
---@return string? message
---@return any code
function mg.data.idx(images, labels) end

--- MNIST or a set of its form: a dataset for training and one for testing; or nil and a message
---@param folder string
---@return moongrad.Dataset? train
---@return moongrad.Dataset|string test
function mg.data.mnist(folder) end

--- the same of Fashion-MNIST, from where Debian puts it unless a folder is given
---@param folder? string
---@return moongrad.Dataset? train
---@return moongrad.Dataset|string test
function mg.data.fashion_mnist(folder) end

--- a CSV file as a dataset: target is a column's name or number, the last unless given; words there become labels from 1; or nil and a message
---@param path string
---@param options? table
---@return moongrad.Dataset?
---@return string? message
---@return any code
function mg.data.csv(path, options) end

--- the first share of the examples, 0 to 1, and the rest, as two datasets
---@param share number
---@return moongrad.Dataset first
---@return moongrad.Dataset rest
function Dataset:split(share) end

--- count examples from the first-th on, as a dataset
---@param first number
---@param count integer
---@return moongrad.Dataset
function Dataset:range(first, count) end

--- puts the examples in random order; returns the dataset
---@return moongrad.Dataset
function Dataset:shuffle() end

--- scales x to mean 0 and deviation 1, each feature of {n, features} by itself; returns the dataset and the statistics, which later data are scaled by
---@param stats? any
---@return moongrad.Dataset self
---@return table statistics
function Dataset:normalize(stats) end

--- changes pictures at random whenever they are read for training: flip left to right, shift up to so many pixels, rotate up to so many degrees, scale by up to this share, noise of this deviation
---@param options table
---@return moongrad.Dataset
function Dataset:augment(options) end

--- for x, y in dataset:batches(n): n examples at a time, in order
---@param n integer
---@param options? table
---@return fun(): moongrad.Tensor, moongrad.Tensor
function Dataset:batches(n, options) end

--- x and y of count examples from the first-th on
---@param first number
---@param count integer
---@return moongrad.Tensor x
---@return moongrad.Tensor y
function Dataset:batch(first, count) end

--- columns and classes of a CSV file, where there are any
---@return table?
function Dataset:info() end

--- how many numbers an example has
---@return integer
function Dataset:features() end

--- a table of means and one of deviations: of each feature, or of all numbers
---@param each any
---@return number[] means
---@return number[] deviations
function Dataset:stats(each) end

--- x times scales plus offsets from now on, tables of one number or one for each feature
---@param scales any
---@param offsets any
---@return moongrad.Dataset
function Dataset:affine(scales, offsets) end

--- frees it now, not when it is collected; any later use is an error
function Dataset:close() end

--- writes a net with its architecture and all that it keeps, or tensors by name, as a safetensors file, which replaces an old one at once when it is all on the disk; true, or nil, a message and a code
---@param path string
---@param net any
---@return boolean?
---@return string? message
---@return any code
function mg.save(path, net) end

--- the net or the tensors by name of a file; with weights_only the tensors of any safetensors file; or nil, a message and a code. Classes are made by mg.module first
---@param path string
---@param options? table
---@return moongrad.Layer|table<string, moongrad.Tensor>?
---@return string? message
---@return any code
function mg.load(path, options) end

--- what save would write, as a string
---@param net any
---@return string
function mg.dump(net) end

--- what load would read, from a string
---@param bytes string
---@param options? table
---@return any
function mg.undump(bytes, options) end

--- lets files be opened, read, written and renamed by functions of the host; returns those before
---@param functions any
---@return table?
function mg.set_files(functions) end

--- the tensor of a NumPy .npy file, or the tensors by name of an .npz file; or nil, a message and a code
---@param path string
---@return moongrad.Tensor|table<string, moongrad.Tensor>?
---@return string? message
---@return any code
function mg.npy.read(path) end

--- writes a tensor as .npy, several as .npz; true, or nil, a message and a code
---@param path string
---@param tensor any
---@return boolean?
---@return string? message
---@return any code
function mg.npy.write(path, tensor) end

--- what npy.write would write, as a string
---@param tensor any
---@return string
function mg.npy.dump(tensor) end

--- what npy.read would read, from a string
---@param bytes string
---@return any
function mg.npy.undump(bytes) end

--- a net as one plain Lua file, return function(x) .. end; input is the size of one example, where the net does not know it; true, or nil, a message and a code
---@param net any
---@param path string
---@param options? table
---@return boolean?
---@return string? message
---@return any code
function mg.export.lua(net, path, options) end

--- a net as one C header with weights and a function; its names begin with name, or the file's
---@param net any
---@param path string
---@param options? table
---@return boolean?
---@return string? message
---@return any code
function mg.export.c(net, path, options) end

--- a net as an ONNX model, the size of the batch left open
---@param net any
---@param path string
---@param options? table
---@return boolean?
---@return string? message
---@return any code
function mg.export.onnx(net, path, options) end

--- loss and metrics over the epochs: rows that fit returns, or a file that its option log writes
---@param rows any
---@param options? table
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.loss(rows, options) end

--- functions of a number, nets of one input, points {x=, y=, label=}, or a list of these
---@param curves any
---@param options? table
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.curve(curves, options) end

--- which class a net of two inputs answers where, with the examples, and what each hidden neuron does
---@param net any
---@param data any
---@param options? table
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.boundary(net, data, options) end

--- the first weights of a net as tiles: each window of a convolution, each neuron's of a dense layer
---@param net any
---@param options? table
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.weights(net, options) end

--- the counts of the metric "confusion": rows are what examples are, columns what they are taken for
---@param counts any
---@param options? table
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.confusion(counts, options) end

--- how often numbers fall into each of some ranges
---@param tensor any
---@param options? table
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.histogram(tensor, options) end

--- the norm of the gradient of each layer, after loss:backward()
---@param net any
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.gradients(net) end

--- pictures with what they are and what they are taken for, the worst first; or those of a tensor
---@param net any
---@param data any
---@param options? table
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.images(net, data, options) end

--- a function of two numbers, or the loss over two weights, with the path that training took
---@param f any
---@param data? any
---@param options? table
---@return string|boolean?
---@return string? message
---@return any code
function mg.plot.surface(f, data, options) end

--- how many threads large ops use, 1 to 64, with the same results
---@param n integer
function mg.set_threads(n) end

--- lowers what may be used in this Lua state: bytes, numbers of one tensor, tensors at one time, ops recorded for gradients at one time, threads; only the host can raise it again
---@param options table
function mg.limit(options) end

--- bytes in use by moongrad, the most so far, the limit (0: none), and the number of allocations
---@return integer used
---@return integer most
---@return integer limit
---@return integer allocations
function mg.memory() end

--- version, kind of numbers, instruction set, threads and Lua as a table
---@return table
function mg.info() end

--- "tensor", "layer", "optimizer", "trainer", "dataset" for what moongrad made, else nil
---@param v any
---@return string?
function mg.type(v) end

--- tells what something does, by its name as here or the last part of it
---@param name? string
---@return string?
---@return string? message
function mg.help(name) end

--- the version as text
mg._VERSION = ""

--- the C module beneath; programs need nothing of it, and it may change
mg.core = {}

return mg
