"use strict";
// Poses in two pictures: the lifter's input, and a turnable view of what it made of it.
(() => {
  const data = JSON.parse(document.getElementById("pose-data").textContent);
  const controls = document.getElementById("pose-controls");
  if (!controls) return;
  const input = document.getElementById("pose-input");
  const lifted = document.getElementById("pose-lifted");
  const told = document.getElementById("pose-error");
  const turn = { yaw: 0, pitch: 0 };
  const shown = (name) => controls.elements[name].checked;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

  const prepare = (canvas) => {
    const side = canvas.clientWidth * devicePixelRatio;
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.lineWidth = 2 * devicePixelRatio;
    context.lineCap = "round";
    return [context, side];
  };
  const skeleton = (context, points, name) => {
    context.strokeStyle = colour(name);
    data.parents.forEach((parent, joint) => {
      if (parent < 0) return;
      context.beginPath();
      context.moveTo(...points[joint]);
      context.lineTo(...points[parent]);
      context.stroke();
    });
  };
  const dots = (context, points, name, radius) => {
    context.fillStyle = colour(name);
    for (const [x, y] of points) {
      context.beginPath();
      context.arc(x, y, radius * devicePixelRatio, 0, 7);
      context.fill();
    }
  };

  const drawInput = (sample) => {
    const [context, side] = prepare(input);
    const all = [sample.joints, ...Object.values(sample.levels)].flat();
    const [xs, ys] = [all.map((p) => p[0]), all.map((p) => p[1])];
    const [left, right, top, bottom] = [
      Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys),
    ];
    const scale = (0.88 * side) / Math.max(right - left, bottom - top);
    const place = ([x, y]) => [
      side / 2 + scale * (x - (left + right) / 2), side / 2 + scale * (y - (top + bottom) / 2),
    ];
    for (const [name, points] of Object.entries(sample.levels)) {
      const layer = name === "dense" ? "dense" : "fine";
      if (shown(layer)) dots(context, points.map(place), layer, layer === "dense" ? 2.2 : 1.4);
    }
    if (!shown("joints")) return;
    const joints = sample.joints.map(place);
    skeleton(context, joints, "joints");
    context.strokeStyle = colour("bad");
    for (const joint of sample.hidden) {
      const [x, y] = joints[joint];
      const arm = 5 * devicePixelRatio;
      for (const sign of [1, -1]) {
        context.beginPath();
        context.moveTo(x - arm, y - sign * arm);
        context.lineTo(x + arm, y + sign * arm);
        context.stroke();
      }
    }
  };

  const drawLifted = (sample) => {
    const [context, side] = prepare(lifted);
    const reach = Math.max(...[...sample.lifted, ...sample.truth].map((p) => Math.hypot(...p)));
    const scale = (0.46 * side) / reach;
    const [cy, sy] = [Math.cos(turn.yaw), Math.sin(turn.yaw)];
    const [cp, sp] = [Math.cos(turn.pitch), Math.sin(turn.pitch)];
    const place = ([x, y, z]) => {
      const depth = cy * z - sy * x;
      return [side / 2 + scale * (cy * x + sy * z), side / 2 + scale * (cp * y - sp * depth)];
    };
    if (shown("truth")) skeleton(context, sample.truth.map(place), "truth");
    if (shown("lifted")) skeleton(context, sample.lifted.map(place), "lifted");
  };

  const redraw = () => {
    const arm = data.arms[controls.elements.arm.value];
    const sample = arm.samples[controls.elements.sample.value];
    drawInput(sample);
    drawLifted(sample);
    const text = `${arm.name}, sample ${Number(controls.elements.sample.value) + 1} of ${data.samples}: ${sample.error} mm from the truth`;
    told.textContent = text;
    lifted.setAttribute("aria-label", `Lifted and true pose, ${text}; arrow keys turn it`);
  };
  const turnBy = (yaw, pitch) => {
    turn.yaw += yaw;
    turn.pitch = Math.max(-1.5, Math.min(1.5, turn.pitch + pitch));
    redraw();
  };
  controls.addEventListener("input", redraw);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.elements.reset.addEventListener("click", () => {
    turn.yaw = turn.pitch = 0;
    redraw();
  });
  lifted.addEventListener("pointerdown", (event) => lifted.setPointerCapture(event.pointerId));
  lifted.addEventListener("pointermove", (event) => {
    if (lifted.hasPointerCapture(event.pointerId)) {
      turnBy(event.movementX / 100, -event.movementY / 100);
    }
  });
  const keys = {
    ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15],
  };
  lifted.addEventListener("keydown", (event) => {
    if (event.key in keys) {
      event.preventDefault();
      turnBy(...keys[event.key]);
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(redraw).observe(lifted);
  redraw();
})();
