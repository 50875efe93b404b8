import { useEffect, useRef, useState } from 'preact/hooks';

const BETWEEN_MS = 120;
/** Pixels of the longer side that are looked at. */
const LONGEST_SIDE = 1_280;

/** The camera's picture, in which codes are looked for until `found` returns true. */
export function Camera({
  found,
  failed,
}: {
  readonly found: (text: string) => boolean;
  readonly failed: (why: string) => void;
}) {
  const video = useRef<HTMLVideoElement>(null);
  const [ready, setReady] = useState(false);
  useEffect(() => {
    const control = new AbortController();
    watch(video.current!, control.signal, { found, ready: () => setReady(true) }).catch((error: Error) => {
      if (!control.signal.aborted) failed(whyNot(error));
    });
    return () => control.abort();
  }, []);
  return (
    <div class="camera">
      <video ref={video} muted playsInline aria-label="What the camera sees" />
      <p class="quiet" role="status">
        {ready ? 'Hold the label into the picture.' : 'Starting the camera …'}
      </p>
    </div>
  );
}

async function watch(
  video: HTMLVideoElement,
  signal: AbortSignal,
  { found, ready }: { readonly found: (text: string) => boolean; readonly ready: () => void },
): Promise<void> {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: 'environment', width: { ideal: LONGEST_SIDE } },
  });
  signal.addEventListener('abort', () => stop(stream));
  if (signal.aborted) return stop(stream);
  const { loadDecoder, readCodes } = await import('./decode.ts');
  await loadDecoder();
  video.srcObject = stream;
  await video.play();
  ready();
  const canvas = document.createElement('canvas');
  while (!signal.aborted) {
    const texts = await readCodes(frameOf(video, canvas));
    if (signal.aborted || texts.some(found)) return stop(stream);
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
  }
}

const stop = (stream: MediaStream): void => {
  for (const track of stream.getTracks()) track.stop();
};

function frameOf(video: HTMLVideoElement, canvas: HTMLCanvasElement): ImageData {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight, 1));
  canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
  canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function whyNot(error: Error): string {
  if (error.name === 'NotAllowedError')
    return 'The browser may not use the camera. Allow it for this page, or take a photo.';
  if (error.name === 'NotFoundError')
    return 'There is no camera. Choose a photo of the label, or paste its text.';
  return `The camera cannot be used (${error.name}). Choose a photo of the label, or paste its text.`;
}
