// The link to this page with the settings that the server gives, and a button that copies it. Plain http has no clipboard
// interface, so the older command comes second; the text can be selected by hand in any case.

const TOLD_MS = 1500;

async function copy(input) {
  try {
    await navigator.clipboard.writeText(input.value);
    return true;
  } catch {
    input.focus();
    input.select();
    return document.execCommand("copy");
  }
}

export default function ({ data, parentElement }) {
  const input = parentElement.querySelector("input");
  const button = parentElement.querySelector("button");
  const heard = parentElement.querySelector("[aria-live]");
  const link = `${location.origin}${location.pathname}?${data.query}`;
  if (input.value !== link) input.value = link; // a selection survives as long as the link does
  input.onfocus = () => input.select();
  button.onclick = async () => {
    button.textContent = heard.textContent = (await copy(input)) ? "Copied" : "Press Ctrl+C or ⌘C";
    setTimeout(() => { button.textContent = "Copy link"; heard.textContent = ""; }, TOLD_MS);
  };
}
