// Counts the voxels of each segment of a DICOM SEG as OHIF's adapter lays them on the images it refers to.
// node cornerstone_seg.mjs SEG.dcm FOLDER_OF_IMAGES: prints {"segments": [[label, voxels], ...], "overlapping": bool}
// and writes the label of each voxel, slice by slice from the lowest, to SEG.dcm.labels.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import dcmjs from "dcmjs";
import { adaptersSEG } from "@cornerstonejs/adapters";

const [segPath, folder] = process.argv.slice(2);

function buffer(path) {
  const bytes = readFileSync(path);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

function dataset(path) {
  const file = dcmjs.data.DicomMessage.readFile(buffer(path));
  return dcmjs.data.DicomMetaDictionary.naturalizeDataset(file.dict);
}

const images = readdirSync(folder).map((name) => dataset(`${folder}/${name}`));
images.sort((a, b) => a.ImagePositionPatient[2] - b.ImagePositionPatient[2]);
const ids = images.map((_, n) => `image:${n}`);
const byId = new Map(ids.map((id, n) => [id, images[n]]));

function about(kind, image) {
  const row = image.ImageOrientationPatient.slice(0, 3);
  const column = image.ImageOrientationPatient.slice(3);
  switch (kind) {
    case "instance":
      return image;
    case "generalImageModule":
      return { sopInstanceUID: image.SOPInstanceUID };
    case "generalSeriesModule":
      return { seriesInstanceUID: image.SeriesInstanceUID, modality: image.Modality };
    case "imagePlaneModule":
      return {
        rows: image.Rows,
        columns: image.Columns,
        rowCosines: row,
        columnCosines: column,
        imagePositionPatient: image.ImagePositionPatient,
        rowPixelSpacing: image.PixelSpacing[0],
        columnPixelSpacing: image.PixelSpacing[1],
      };
    default:
      return undefined;
  }
}

const provider = { get: (kind, id) => (byId.has(id) ? about(kind, byId.get(id)) : undefined) };
const { generateToolState } = adaptersSEG.Cornerstone.Segmentation;
const state = await generateToolState(ids, buffer(segPath), provider, false, 1e-3, 4);
const labels = new Uint8Array(state.labelmapBufferArray[0]);
const counts = new Map();
for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
const segments = state.segMetadata.data
  .filter((segment) => segment)
  .map((segment) => [segment.SegmentLabel, counts.get(Number(segment.SegmentNumber)) ?? 0]);
writeFileSync(`${segPath}.labels`, labels);
process.stdout.write(JSON.stringify({ segments, overlapping: Boolean(state.overlappingSegments) }));
