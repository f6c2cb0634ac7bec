import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const css = readFileSync(new URL('../../dashboard/src/styles/tokens.css', import.meta.url), 'utf8');

/** Returns the hexadecimal colors of a theme. */
function colorsOf(scheme: string): Map<string, string> {
  const [block = ''] = new RegExp(`color-scheme: ${scheme};[^}]*`).exec(css) ?? [];
  return new Map(
    [...block.matchAll(/--([\w-]+): (#[\da-f]{6});/g)].map(([, name, color]) => [name!, color!]),
  );
}

/** Returns the relative luminance of a color (WCAG 2.2). */
function luminance(color: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.212_6 * red! + 0.715_2 * green! + 0.072_2 * blue!;
}

function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

describe.each(['light', 'dark'])('%s', (scheme) => {
  const colors = colorsOf(scheme);
  const between = (one: string, other: string) => contrast(colors.get(one)!, colors.get(other)!);

  test.each([
    ['bar-edge', 'surface'],
    ['accent', 'surface'],
  ])('%s on %s has the contrast of a graphic', (one, other) => {
    expect(between(one, other)).toBeGreaterThanOrEqual(3);
  });

  test.each([
    ['text', 'surface'],
    ['text', 'bar'],
    ['text', 'tint'],
    ['muted', 'surface'],
    ['muted', 'bar'],
    ['muted', 'ground'],
    ['accent', 'tint'],
    ['accent', 'bar'],
    ['warn', 'surface'],
    ['bad', 'surface'],
    ['good', 'surface'],
  ])('%s on %s has the contrast of text', (one, other) => {
    expect(between(one, other)).toBeGreaterThanOrEqual(4.5);
  });
});
