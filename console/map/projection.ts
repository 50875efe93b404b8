/** A point on the ground, and so far around it (km) something may be. */
export interface Around {
  readonly latitude: number;
  readonly longitude: number;
  readonly radiusKm: number;
}

/** How the map's outlines were laid into its picture: pixels for a radian, and where latitude and longitude 0 are. */
export interface Frame {
  readonly scale: number;
  readonly origin: readonly [x: number, y: number];
}

const RADIAN = Math.PI / 180;
const EARTH_KM = 6_371;

/** Where a point is in the picture, and how large what is around it: Natural Earth I, as the outlines (https://doi.org/10.1179/000870410X12911304958827). */
export function projected(
  { latitude, longitude, radiusKm }: Around,
  { scale, origin: [x, y] }: Frame,
): { readonly x: number; readonly y: number; readonly radius: number } {
  const phi = latitude * RADIAN;
  const [phi2, phi4] = [phi ** 2, phi ** 4];
  const east = 0.8707 - 0.131979 * phi2 + phi4 * (-0.013791 + phi4 * (0.003971 * phi2 - 0.001529 * phi4));
  const north = phi * (1.007226 + phi2 * (0.015085 + phi4 * (-0.044475 + 0.028874 * phi2 - 0.005916 * phi4)));
  return {
    x: x + scale * longitude * RADIAN * east,
    y: y - scale * north,
    radius: (scale * radiusKm) / EARTH_KM,
  };
}
