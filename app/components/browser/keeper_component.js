// Hands over what the browser shall keep; where the page's script is not there yet, the next message does.
export default ({ data }) => window.resflowBrowser?.keep(data.progress);
