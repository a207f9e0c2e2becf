// The component of the large numbers is a place for them: what stands there comes with the picture's scene.
export default function ({ parentElement }) {
  (window.resflowLive ??= []).push(["numbers", { root: parentElement.querySelector(".live-readouts") }]);
}
