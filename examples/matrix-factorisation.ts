/**
 * Recommendations by matrix factorisation (Koren, Bell & Volinsky 2009). A rating is the mean, plus what this user and
 * this film usually add, plus the product of the user's tastes with the film's traits: all learnt from the ratings
 * alone. Of 60,000 pairs a quarter was rated; the others are guessed. With enough traits little but the noise is left.
 */
import assert from "node:assert/strict";
import { random, type Tensor, value } from "downhill";
import { constant, embedding, module, mse, normal, param, zeros } from "downhill/nn";
import { adamW, cosine, named } from "downhill/optim";
import { evaluate, fit } from "downhill/train";

// Ratings from tastes and traits that are known here, with noise: nobody can guess a new rating better than ± 0.4.
const [users, films, truth, noise] = [300, 200, 3, 0.4];
const key = random.key(1);
const usual = Array.from({ length: users + films }, (_, who) => 0.5 * random.normal(key, who, 0));
const likes = Array.from({ length: (users + films) * truth }, (_, k) => 0.8 * random.normal(key, k, 1));
const rating = (user: number, film: number) => {
  let sum = 3.5 + usual[user]! + usual[film]! + noise * random.normal(key, user * (users + films) + film, 2);
  for (let k = 0; k < truth; k++) sum += likes[user * truth + k]! * likes[film * truth + k]!;
  return sum;
};
// Users are 0 … 299 and films 300 … 499: one table has a row for each of them.
const order = random.permutation(users * films, 1);
const part = (from: number, to: number) => {
  const pairs = Array.from(order.subarray(from, to), (k) => [Math.floor(k / films), users + (k % films)] as const);
  return {
    x: value([pairs.length, 2], pairs.flat(), "i32"),
    y: value(
      [pairs.length],
      pairs.map((pair) => rating(...pair)),
    ),
  };
};
const [train, test] = [part(0, 15_000), part(15_000, 25_000)];
const mean = train.y.data.reduce((a, b) => a + b) / train.y.data.length;

/** x: i32[n, 2], user and film → f32[n], the rating */
const model = (traits: number) =>
  module(
    {
      mean: param([], constant(mean)),
      usual: embedding(users + films, 1, { weightInit: zeros }),
      likes: embedding(users + films, traits, { weightInit: normal(0.1) }),
    },
    ({ mean, usual, likes }, x: Tensor) => {
      const both = likes(x); // f32[n, 2, traits]
      const match = both.slice(1, 0, 1).mul(both.slice(1, 1)).sum([1, 2]);
      return mean.add(usual(x).sum([1, 2])).add(match);
    },
  );

const spread = Math.sqrt(test.y.data.reduce((a, y) => a + (y - mean) ** 2, 0) / test.y.data.length);
console.log(`the mean for everybody is off by ${spread.toFixed(3)}; the noise is ${noise}`);
const [batch, steps] = [128, 3000];
const held: number[] = [];
for (const traits of [1, 2, 3, 8]) {
  const net = model(traits);
  const optimizer = adamW({ weightDecay: 0.1, decayOnly: named(/usual|likes/) });
  const fitted = await fit({
    net,
    loss: mse,
    optimizer,
    lr: cosine({ lr: 0.02, steps }),
    data: { train },
    batch,
    steps,
  });
  const off = async (data: typeof test) => Math.sqrt((await evaluate(net, fitted, data, { loss: mse })).loss);
  held.push(await off(test));
  console.log(
    `${traits} traits: off by ${(await off(train)).toFixed(3)} on ratings seen, ${held.at(-1)!.toFixed(3)} on new ones`,
  );
}
const [one, two, three] = held;
assert.ok(one! > two! && two! > three! && three! < 1.2 * noise);
