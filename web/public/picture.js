// Shows the picture at the address in the hash, and posts its size to the page: zeros if it can't be loaded.
// The page shows this document in a frame without an origin. The document may load pictures from any host;
// the page may not.
const address = decodeURIComponent(location.hash.slice(1));
const image = document.createElement("img");
const tell = (size) => parent.postMessage(size, "*");
image.referrerPolicy = "no-referrer";
image.alt = "";
Object.assign(document.body.style, { margin: "0", overflow: "hidden" });
Object.assign(image.style, { display: "block", width: "100vw", height: "100vh", objectFit: "contain" });
image.onload = () => {
  document.body.append(image);
  tell({ width: image.naturalWidth, height: image.naturalHeight });
};
image.onerror = () => tell({ width: 0, height: 0 });
if (address.startsWith("https://")) image.src = address;
