export function isDigit(unit: number): boolean {
  return unit >= 48 && unit <= 57;
}

/** Returns the value of a hexadecimal digit, or a negative number for other characters. */
export function digitAt(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  if (isDigit(unit)) return unit - 48;
  const lower = unit | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
