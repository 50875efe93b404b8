import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const [WIDTH, HEIGHT, FRAMES] = [640, 480, 10] as const;

/** Writes a film (YUV4MPEG2, 10 frames a second) in which a picture is held before a camera. */
export function film(pictureFile: string, to: string): void {
  const grey = execFileSync('convert', [
    pictureFile,
    ...['-colorspace', 'Gray', '-filter', 'point', '-resize', `${HEIGHT - 40}x${HEIGHT - 40}`],
    ...[
      '-background',
      'white',
      '-gravity',
      'center',
      '-extent',
      `${WIDTH}x${HEIGHT}`,
      '-depth',
      '8',
      'gray:-',
    ],
  ]);
  const colours = Buffer.alloc((WIDTH * HEIGHT) / 2, 128);
  const frame = Buffer.concat([Buffer.from('FRAME\n'), grey, colours]);
  const head = Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420jpeg\n`);
  writeFileSync(to, Buffer.concat([head, ...Array.from({ length: FRAMES }, () => frame)]));
}
