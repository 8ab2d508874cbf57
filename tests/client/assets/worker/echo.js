onmessage = ({ data }) => postMessage(`the worker heard ${data}`);
