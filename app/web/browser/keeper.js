// Hands over what the browser shall keep; where the page's script is not there yet, it finds it.
export default ({ data }) => {
  window.resflowToKeep = data.progress;
  window.resflowBrowser?.keep();
};
