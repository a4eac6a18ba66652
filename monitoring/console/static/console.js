"use strict";
// The chart of the overview; everything else works without scripting, and the chart's numbers are in a table beside it.
(() => {
  const place = document.querySelector("[data-chart]");
  if (!place || !window.uPlot) return;
  const style = () => getComputedStyle(document.documentElement);
  let chart = null;
  const draw = (traffic) => {
    const colour = (name) => style().getPropertyValue(name).trim();
    const locale = document.documentElement.lang;
    const number = (value) => value == null ? "–" : value.toLocaleString(locale, {maximumFractionDigits: 2});
    const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(locale, {timeZone: traffic.zone, hour: "2-digit", minute: "2-digit", hour12: false});
    const axis = {stroke: colour("--soft"), grid: {stroke: colour("--line"), width: 1}, ticks: {show: false}, font: "12px system-ui"};
    const series = (label, stroke, dash) => ({label, stroke: colour(stroke), width: 2, dash, points: {show: false}, value: (_, value) => number(value)});
    if (chart) chart.destroy();
    chart = new uPlot({
      width: place.clientWidth, height: 220, cursor: {drag: {setScale: false}},
      scales: {y: {range: (_, low, high) => [0, Math.max(1, high * 1.1)]}},
      series: [{label: traffic.labels.time, value: (_, value) => value == null ? "–" : clock(value)}, series(traffic.labels.delivered, "--series-1"), series(traffic.labels.decided, "--series-2", [6, 4])],
      axes: [{...axis, values: (_, ticks) => ticks.map(clock)}, {...axis, size: 56, values: (_, ticks) => ticks.map(number)}],
    }, [traffic.columns[0], traffic.columns[2], traffic.columns[1]], place);
  };
  let last = null;
  const load = async () => {
    if (document.hidden) return;
    const answer = await fetch(place.dataset.chart, {headers: {accept: "application/json"}});
    if (!answer.ok) return;
    last = await answer.json();
    draw(last);
  };
  const again = () => { load().catch(() => {}); };
  again();
  setInterval(again, 10000);
  document.addEventListener("visibilitychange", again);
  window.addEventListener("resize", () => { if (last) draw(last); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (last) draw(last); });
})();
// What scrolls sideways must be reached by the keyboard; what does not needs no stop of its own.
(() => {
  const mark = () => document.querySelectorAll(".scroll").forEach((box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0; else box.removeAttribute("tabindex");
  });
  for (const happened of ["DOMContentLoaded", "htmx:afterSettle", "htmx:sseMessage"]) document.addEventListener(happened, mark);
  window.addEventListener("resize", mark);
  document.addEventListener("toggle", mark, true);
})();
// On a narrow screen the navigation scrolls; where one is stays in sight.
document.querySelector("nav [aria-current]")?.scrollIntoView({block: "nearest", inline: "center"});
