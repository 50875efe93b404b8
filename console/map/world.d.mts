/** The outlines of all countries as one path of SVG, where the dot of each is, by ISO 3166-1 alpha-2, and how any other point is found. */
export declare function worldMap(): {
  readonly width: number;
  readonly height: number;
  readonly land: string;
  readonly dots: Readonly<Record<string, readonly [x: number, y: number]>>;
  readonly scale: number;
  readonly origin: readonly [x: number, y: number];
};
