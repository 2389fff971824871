// The interactive view: surfaces in one canvas, the scan with the plan in another, one crosshair for both.
(async () => {
  "use strict";
  const box = document.getElementById("viewer-box");
  const status = document.getElementById("viewer-status");
  const say = (text) => { status.textContent = text; status.hidden = !text; };
  const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  try {
    const probe = document.createElement("canvas").getContext("webgl2");
    if (!probe) {
      throw new Error("this browser offers no WebGL 2");
    }
    const data = JSON.parse(document.getElementById("viewer-data").textContent);
    box.hidden = false;

    const solid = new niivue.Niivue({
      backColor: [1, 1, 1, 1], show3Dcrosshair: false, isOrientCube: true, isResizeCanvas: true,
      loadingText: "", dragAndDropEnabled: false, logLevel: "error", meshXRay: 0, isRadiologicalConvention: true,
    });
    await solid.attachToCanvas(document.getElementById("viewer-3d"));
    solid.setSliceType(solid.sliceTypeRender);
    const meshes = [];
    for (const [n, surface] of data.surfaces.entries()) {
      const mesh = await niivue.NVMesh.readMesh(
        bytesOf(surface.mesh), `surface${n}.mz3`, solid.gl, surface.opacity, new Uint8Array(surface.colour), true,
      );
      solid.addMesh(mesh);
      solid.setMeshShader(mesh.id, "Phong");
      meshes.push(mesh);
    }
    const opacities = data.surfaces.map((s) => s.opacity);
    const show = (n, shown) => {
      // What is not shown keeps its place in the list, and costs nothing to draw.
      meshes[n].visible = shown;
      solid.setMeshProperty(meshes[n].id, "opacity", shown ? opacities[n] : 0);
    };
    document.querySelectorAll("#viewer-list input[type=checkbox]").forEach((input) => {
      const n = Number(input.dataset.surface);
      input.checked = data.surfaces[n].shown;
      show(n, input.checked);
      input.addEventListener("change", () => show(n, input.checked));
    });
    document.querySelectorAll("#viewer-list input[type=range]").forEach((input) => {
      const n = Number(input.dataset.surface);
      input.value = String(Math.round(100 * opacities[n]));
      input.addEventListener("input", () => {
        opacities[n] = Number(input.value) / 100;
        show(n, meshes[n].visible);
      });
    });
    const views = { front: [180, 5], right: [270, 5], left: [90, 5], above: [180, 90], below: [180, -90] };
    document.querySelectorAll("[data-view]").forEach((button) => {
      button.addEventListener("click", () => solid.setRenderAzimuthElevation(...views[button.dataset.view]));
    });
    solid.setRenderAzimuthElevation(200, 12);
    solid.setScale(1.1);

    const flat = new niivue.Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [0.94, 0.89, 0.26, 0.9], crosshairWidth: 0.6, isResizeCanvas: true,
      loadingText: "", dragAndDropEnabled: false, logLevel: "error", isRadiologicalConvention: true,
      multiplanarShowRender: 0, isColorbar: false, show3Dcrosshair: false, textHeight: 0.045, sagittalNoseLeft: true,
    });
    await flat.attachToCanvas(document.getElementById("viewer-2d"));
    const image = async (text, name, colormap, opacity) => niivue.NVImage.new(
      bytesOf(text), name, colormap, opacity, null, 0, 255, true, 0, false, false, "", 0, undefined, NaN, NaN, false,
    );
    const ground = data.grey || data.labels;
    flat.addVolume(await image(ground, "scan.nii.gz", "gray", data.grey ? 1 : 0));
    const plan = await image(data.labels, "plan.nii.gz", "gray", 0.4);
    plan.setColormapLabel(data.lut);
    flat.addVolume(plan);
    flat.setInterpolation(false);
    flat.setAtlasOutline(0);
    flat.setSliceType(flat.sliceTypeMultiplanar);
    flat.setMultiplanarLayout(0);
    flat.onLocationChange = (at) => {
      const [x, y, z] = at.mm;
      const voxel = plan.mm2vox([x, y, z]);
      const words = data.lut.labels[data.lut.I.indexOf(plan.getValue(voxel[0], voxel[1], voxel[2]))];
      document.getElementById("viewer-at").textContent =
        `x ${(-x).toFixed(1)}, y ${(-y).toFixed(1)}, z ${z.toFixed(1)} mm (LPS)${words ? ": " + words : ""}`;
    };
    document.getElementById("viewer-overlay").addEventListener("input", (event) => {
      flat.setOpacity(1, Number(event.target.value) / 100);
    });
    flat.drawScene();
    solid.drawScene();
    box.dataset.ready = "yes";
    say("");
    window.flrViewer = { solid, flat, meshes };
  } catch (error) {
    box.hidden = true;
    say(`The 3D view cannot be shown (${error.message}); the pictures below show the same plan.`);
  }
})();
