/**
 * Zero, for a field that will hold fractions or large numbers.
 *
 * V8 keeps a field as a small integer until something else is stored in it, and then throws away all
 * code compiled for that. Minus zero is no small integer, so a field that begins with it is a double
 * from the start; added to anything it gives that.
 */
export const DOUBLE_ZERO = -0;
