// Where things stand on the map: along a roadway, beside it, and not on top of each other.

export function pointAlong(path, share) {
  const total = length(path);
  let left = total * share;
  for (let i = 1; i < path.length; i += 1) {
    const step = distance(path[i - 1], path[i]);
    if (left <= step || i === path.length - 1) {
      const part = step ? Math.min(1, left / step) : 0;
      return [
        path[i - 1][0] + (path[i][0] - path[i - 1][0]) * part,
        path[i - 1][1] + (path[i][1] - path[i - 1][1]) * part,
      ];
    }
    left -= step;
  }
  return path[0];
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

export const length = (path) =>
  path.slice(1).reduce((sum, point, i) => sum + distance(path[i], point), 0);

export function bounds(paths, margin) {
  const xs = paths.flat().map((point) => point[0]);
  const ys = paths.flat().map((point) => point[1]);
  const left = Math.min(...xs) - margin.x;
  const top = Math.min(...ys) - margin.top;
  return { left, top, width: Math.max(...xs) + margin.x - left, height: Math.max(...ys) + margin.bottom - top };
}

// Keeps boxes apart: `place` takes the first free candidate, or the one with the least overlap.
export class Places {
  constructor(frame) {
    this.taken = [];
    this.roads = [];
    this.frame = frame;
  }

  // Roads may be covered where nothing else is free; other marks should not be.
  pave(path, width) {
    for (let i = 1; i < path.length; i += 1) {
      const [a, b] = [path[i - 1], path[i]];
      this.roads.push({
        x: Math.min(a[0], b[0]) - width / 2, y: Math.min(a[1], b[1]) - width / 2,
        w: Math.abs(a[0] - b[0]) + width, h: Math.abs(a[1] - b[1]) + width,
      });
    }
  }

  placeBeside(candidates) {
    return this.place(candidates, this.roads);
  }

  place(candidates, avoided = []) {
    let best = null;
    for (const box of candidates) {
      const outside = box.w * box.h - overlap(box, this.frame);
      const cost = (outside > 1 ? 4 * outside : 0)
        + this.taken.reduce((sum, other) => sum + overlap(box, other), 0)
        + avoided.reduce((sum, other) => sum + 0.5 * overlap(box, other), 0);
      if (best === null || cost < best.cost) best = { box, cost };
      if (cost === 0) break;
    }
    this.taken.push(best.box);
    return best.box;
  }
}

function overlap(a, b) {
  const x = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const y = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  return x > 0 && y > 0 ? x * y : 0;
}

export const centred = (x, y, w, h, extra = {}) => ({ x: x - w / 2, y: y - h / 2, w, h, ...extra });

// Candidate boxes for a label of w × h beside a path: its longest stretches first, both sides.
export function beside(path, w, h, gap) {
  const stretches = path.slice(1).map((end, i) => [path[i], end])
    .sort((a, b) => distance(...b) - distance(...a));
  const boxes = [];
  for (const [from, to] of stretches) {
    const flat = Math.abs(from[1] - to[1]) < Math.abs(from[0] - to[0]);
    for (const share of [0.5, 0.3, 0.7, 0.15, 0.85]) {
      const x = from[0] + (to[0] - from[0]) * share;
      const y = from[1] + (to[1] - from[1]) * share;
      for (const far of [gap, gap + 1.3 * h]) {
        if (flat) boxes.push(centred(x, y - far - h / 2, w, h), centred(x, y + far + h / 2, w, h));
        else boxes.push(centred(x + far + w / 2, y, w, h), centred(x - far - w / 2, y, w, h));
      }
    }
  }
  return boxes;
}
