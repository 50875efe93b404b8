import { useState } from 'preact/hooks';
import { TextField } from '../parts/field.tsx';
import { Camera } from './camera.tsx';
import { codeOf } from './label-text.ts';

const LARGEST_PHOTO = 32 * 1024 * 1024;

const hasCamera = (): boolean => globalThis.isSecureContext && navigator.mediaDevices !== undefined;

/** Finds the text of a label: by camera, in a photo or a file, or pasted. */
export function FindLabel({ found }: { readonly found: (text: string) => void }) {
  const [camera, setCamera] = useState(hasCamera());
  const [pasted, setPasted] = useState('');
  const [wrong, setWrong] = useState<string>();
  const take = (text: string): boolean => {
    const code = codeOf(text);
    if (code.kind === 'label') {
      found(code.text);
      return true;
    }
    setWrong(`This is a code, but no label of ours. It says “${code.beginning}”. Ours begins with ENF1:`);
    return false;
  };
  const fromFile = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    setWrong(undefined);
    try {
      const texts = await textsOf(file);
      if (texts.length === 0)
        setWrong('No code was found in this picture. Take it from closer, flat and sharp.');
      else texts.some(take);
    } catch (error) {
      setWrong(`The file cannot be read (${(error as Error).message}).`);
    }
  };
  return (
    <div class="claim">
      {camera && (
        <Camera
          found={take}
          failed={(why) => {
            setCamera(false);
            setWrong(why);
          }}
        />
      )}
      {!hasCamera() && (
        <p class="quiet">
          Browsers give a camera only to pages with https, or of this machine. A photo of the label does as
          well.
        </p>
      )}
      {wrong !== undefined && (
        <p class="problem" role="alert">
          {wrong}
        </p>
      )}
      <label class="button wide file">
        Take or choose a photo
        <input
          class="hidden"
          type="file"
          accept="image/*,.txt,text/plain"
          onChange={(event) => void fromFile(event.currentTarget.files?.[0])}
        />
      </label>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setWrong(undefined);
          take(pasted);
        }}
      >
        <TextField
          label="Or paste the text of the label"
          value={pasted}
          change={setPasted}
          placeholder="ENF1:…"
          maxLength={4_200}
          hint="It comes with the shipment, as label.txt."
        />
        <button type="submit" class="wide" disabled={pasted.trim() === ''}>
          Read it
        </button>
      </form>
    </div>
  );
}

async function textsOf(file: File): Promise<readonly string[]> {
  if (file.size > LARGEST_PHOTO) throw new Error(`more than ${LARGEST_PHOTO / 1024 / 1024} MB`);
  if (file.type === 'text/plain' || file.name.endsWith('.txt')) return [await file.text()];
  const { loadDecoder, readCodes } = await import('./decode.ts');
  await loadDecoder();
  return readCodes(file);
}
