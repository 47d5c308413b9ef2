export {
  elu,
  flatten,
  gelu,
  leakyRelu,
  logSoftmax,
  relu,
  sigmoid,
  silu,
  softmax,
  softplus,
  tanh,
} from "./activation.ts";
export { type AttentionOptions, attention, type MultiheadAttentionOptions, multiheadAttention } from "./attention.ts";
export { dropout } from "./dropout.ts";
export { embedding } from "./embedding.ts";
export {
  constant,
  fans,
  gain,
  heNormal,
  heUniform,
  lecunNormal,
  type Nonlinearity,
  normal,
  ones,
  orthogonal,
  truncatedNormal,
  uniform,
  xavierNormal,
  xavierUniform,
  zeros,
} from "./init.ts";
export { linear } from "./linear.ts";
export {
  binaryCrossEntropy,
  crossEntropy,
  hinge,
  huber,
  klDivergence,
  type Loss,
  mae,
  mse,
  multiClassHinge,
  type Parts,
  type Reduction,
  type Weights,
} from "./loss.ts";
export {
  apply,
  type Bound,
  type Cell,
  type Child,
  type Children,
  type Context,
  type Init,
  init,
  type Module,
  module,
  type ParamSpec,
  type Params,
  param,
  type State,
  type StateSpec,
  state,
  type Traced,
} from "./module.ts";
export { positionEmbedding, type RotaryOptions, rotary, sinusoidal } from "./position.ts";
export { type Layer, sequential } from "./sequential.ts";
