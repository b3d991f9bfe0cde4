"use strict";
// Charts are drawn as they come near the screen, in the page's own colours.
const specs = JSON.parse(document.getElementById("specs").textContent);
const quiet = { labelColor: "currentColor", titleColor: "currentColor" };
const config = {
  background: "transparent",
  font: getComputedStyle(document.body).fontFamily, // text is measured with it
  view: { stroke: null },
  axis: {
    ...quiet, domainColor: "#8888", tickColor: "#8888", gridColor: "#8883", labelLimit: innerWidth < 600 ? 110 : 230,
    titleFontWeight: "normal",
  },
  legend: { ...quiet, labelLimit: 220 },
};
const draw = (place) => {
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width: "container",
    autosize: { type: "fit-x", contains: "padding" },
    ...specs[Number(place.dataset.chart)],
  };
  return vegaEmbed(place, spec, {
    renderer: "svg", actions: false, logLevel: vega.Error, config,
  }).then((drawn) => {
    place.dataset.drawn = "yes";
    return drawn;
  });
};
const near = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        near.unobserve(entry.target);
        draw(entry.target);
      }
    }
  },
  { rootMargin: "400px" },
);
const places = document.querySelectorAll(".chart");
places.forEach((place) => near.observe(place));
window.addEventListener("beforeprint", () => {
  places.forEach((place) => { if (!place.dataset.drawn) { near.unobserve(place); draw(place); } });
});
