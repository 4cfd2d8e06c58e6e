// Ticks of a value axis: round in the axis' unit, and written in it.

import { textWidth } from "../dom.js";
import { baseOf, formatted } from "../units.js";

const NICE = { 10: [1, 2, 2.5, 5, 10], 1024: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], 60: [1, 2, 5, 10, 15, 20, 30, 60] };

/**
 * The range that values and a configuration ask for.
 * @param {(number|null)[][]} series
 */
export function boundsOf(series, config) {
  const { axisSoftMin, axisSoftMax } = config.custom ?? {};
  let low = Infinity;
  let high = -Infinity;
  for (const values of series) {
    for (const value of values) {
      if (value === null || !Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) [low, high] = [0, 1];
  low = config.min ?? Math.min(low, axisSoftMin ?? Infinity);
  high = config.max ?? Math.max(high, axisSoftMax ?? -Infinity);
  if (low === high) [low, high] = low === 0 ? [0, 1] : [Math.min(0, low), Math.max(0, high)];
  const space = (high - low) * 0.05;
  return [config.min ?? (low < 0 || config.custom?.axisCenteredZero ? low - space : Math.max(0, low - space)), config.max ?? high + space];
}

/** @returns {{values: number[], texts: string[], width: number}} about one tick for every 36 pixels */
export function ticksOf([low, high], config, height) {
  const step = stepOf((high - low) / Math.max(2, Math.floor(height / 36)), baseOf(config.unit), config);
  const values = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) values.push(Number(value.toPrecision(12)));
  const texts = values.map((value) => formatted(value, config.unit, isDistinct(values, config) ? config.decimals : undefined));
  return { values, texts, width: Math.max(0, ...texts.map((text) => textWidth(text, 11))) };
}

/** Decimals that were chosen for values may make neighbouring ticks read alike. */
function isDistinct(values, { unit, decimals }) {
  return new Set(values.map((value) => formatted(value, unit, decimals))).size === values.length;
}

function stepOf(least, base, { decimals, unit }) {
  const isWhole = decimals === 0 && !["percentunit"].includes(unit);
  const wanted = isWhole ? Math.max(1, least) : least;
  const scale = base === 60 && wanted >= 3600 ? 3600 : base === 60 && wanted < 1 ? 10 : base;
  const unitSize = scale === 3600 ? 3600 : scale ** Math.floor(Math.log(wanted) / Math.log(scale));
  const nice = NICE[scale] ?? [1, 2, 3, 6, 12, 24];
  const found = nice.find((factor) => factor * unitSize >= wanted * 0.999) ?? nice.at(-1);
  return found * unitSize;
}
