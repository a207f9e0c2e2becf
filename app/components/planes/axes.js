// Plotly's axes and colour bars, as all its panes have them.

/** A text that Plotly draws as it is: it reads tags and entities in all that it is given. */
const asItIs = (text) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** The same for what is shown where the pointer is, in which Plotly fills %{...} in as well. */
const asItIsHovered = (text) => asItIs(text).replaceAll("%", "&#37;");

/** Without a range the axis follows its data. */
function axisOf(theme, title, range) {
  return {
    title: { text: asItIs(title), standoff: 6, font: { size: 12, color: theme.ink(0.8) } },
    ...(range && { range: [...range] }), // Plotly writes a zoom into the array it is given
    showgrid: false, zeroline: false, nticks: 6, ticks: "outside", ticklen: 4,
    tickcolor: theme.ink(0.3), tickfont: { size: 11, color: theme.ink(0.65) },
    showline: true, mirror: true, linecolor: theme.ink(0.2), linewidth: 1,
  };
}

function colourBar(theme, title) {
  const font = { size: 11, color: theme.ink(0.65) };
  return {
    title: { text: title, side: "right", font }, tickfont: font, tickformat: ".2~g", nticks: 5, ticks: "",
    thickness: 9, len: 1, x: 1.03, xpad: 0, ypad: 0, outlinewidth: 0,
  };
}

/** A finger must be able to scroll the page. */
const dragMode = () => (matchMedia("(pointer: coarse)").matches ? false : "pan");
