// A colour for each class, bright enough for the plane, which is dark in both themes.

// The hues of Okabe and Ito 2008 ("Color Universal Design") made lighter, and three more.
const CLASSES = [
  "#4aa8ff",
  "#ffb000",
  "#19c79a",
  "#f08ac4",
  "#9be1ff",
  "#ff7a3c",
  "#f7ec59",
  "#a48bff",
  "#f2f2f2",
  "#d4674e",
];

/** The colour of class `number` of `count`; points without classes have the first. */
export function colourOf(number, count) {
  if (number < 0) return "#98a2ad";
  if (count <= CLASSES.length) return CLASSES[number];
  // Neighbouring numbers are a golden section of the circle apart.
  return `hsl(${(number * 137.5) % 360} 75% 65%)`;
}
