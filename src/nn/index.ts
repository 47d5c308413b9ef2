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
export { normalize, randomCrop, randomFlip } from "./augment.ts";
export {
  type BatchNormOptions,
  batchNorm1d,
  batchNorm2d,
  batchNorm3d,
  type InstanceNormOptions,
  instanceNorm1d,
  instanceNorm2d,
  instanceNorm3d,
} from "./batch-norm.ts";
export { checkpoint } from "./checkpoint.ts";
export {
  type ConvolutionOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type PaddingMode,
  type TransposedOptions,
} from "./convolution.ts";
export { dropout } from "./dropout.ts";
export { embedding } from "./embedding.ts";
export { type GptOptions, gpt } from "./gpt.ts";
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
export { groupNorm, type LayerNormOptions, layerNorm, rmsNorm } from "./norm.ts";
export {
  type AvgPoolOptions,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from "./pooling.ts";
export { positionEmbedding, type RotaryOptions, rotary, sinusoidal } from "./position.ts";
export {
  gru,
  gruCell,
  lstm,
  lstmCell,
  type RecurrentOptions,
  type RnnOptions,
  rnn,
  rnnCell,
} from "./recurrent.ts";
export { residual } from "./residual.ts";
export { type Layer, sequential } from "./sequential.ts";
export type { PerAxis } from "./spatial.ts";
export { type NormName, type TransformerBlockOptions, transformerBlock } from "./transformer.ts";
export { upsample } from "./upsample.ts";
