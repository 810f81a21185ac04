<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_CN" sourcelanguage="en">
  <context>
    <name>AdvancedBox</name>
    <message>
      <source>Advanced</source>
      <translation>高级</translation>
    </message>
    <message>
      <source>All cores</source>
      <translation>全部核心</translation>
    </message>
    <message>
      <source>Automatic</source>
      <translation>自动</translation>
    </message>
    <message>
      <source>Beside the image</source>
      <translation>与影像同一文件夹</translation>
    </message>
    <message>
      <source>Device</source>
      <translation>设备</translation>
    </message>
    <message>
      <source>Engine</source>
      <translation>引擎</translation>
    </message>
    <message>
      <source>No file can be written in {folder}. Choose another output file.</source>
      <translation>无法在 {folder} 中写入文件，请另选输出文件。</translation>
    </message>
    <message>
      <source>Number format of the model: int8 is fastest, float32 most exact</source>
      <translation>模型的数值格式：int8 最快，float32 最精确</translation>
    </message>
    <message>
      <source>Output file</source>
      <translation>输出文件</translation>
    </message>
    <message>
      <source>Overlap</source>
      <translation>重叠</translation>
    </message>
    <message>
      <source>Precision</source>
      <translation>运算精度</translation>
    </message>
    <message>
      <source>Processor threads to use; fewer leave the computer free for other work</source>
      <translation>使用的处理器线程数；线程少一些，计算机便可做其他工作</translation>
    </message>
    <message>
      <source>Share of a tile that is in the next one too; longer than the longest object</source>
      <translation>相邻瓦片重叠的比例；应大于最长的目标</translation>
    </message>
    <message>
      <source>Side of the tiles that the image is cut into</source>
      <translation>影像切片的边长</translation>
    </message>
    <message>
      <source>The model's</source>
      <translation>模型默认</translation>
    </message>
    <message>
      <source>The processor that runs the model</source>
      <translation>运行模型的处理器</translation>
    </message>
    <message>
      <source>The program that runs the model</source>
      <translation>运行模型的程序</translation>
    </message>
    <message>
      <source>Threads</source>
      <translation>线程数</translation>
    </message>
    <message>
      <source>Tile size</source>
      <translation>切片大小</translation>
    </message>
    <message>
      <source>Where the result is written. No file is ever replaced: a new one gets a number</source>
      <translation>结果写入的位置。不会覆盖任何文件：新文件会加上编号</translation>
    </message>
    <message>
      <source>Writes a temporary layer: no file can be made beside this image.</source>
      <translation>将写入临时图层：无法在此影像旁创建文件。</translation>
    </message>
    <message>
      <source>Writes {name} beside the image.</source>
      <translation>将在影像旁写入 {name}。</translation>
    </message>
    <message>
      <source>Writes {name}.</source>
      <translation>将写入 {name}。</translation>
    </message>
    <message>
      <source>{chosen} exists; writes {name}.</source>
      <translation>{chosen} 已存在，将写入 {name}。</translation>
    </message>
    <message>
      <source>{chosen} is being edited; writes {name}.</source>
      <translation>{chosen} 正在编辑，将写入 {name}。</translation>
    </message>
  </context>
  <context>
    <name>Area</name>
    <message>
      <source>The area cannot be brought into the image's CRS: {reason}</source>
      <translation>无法将检测区域转换到影像的 CRS：{reason}</translation>
    </message>
    <message>
      <source>The area cannot be written: {reason}</source>
      <translation>无法写入检测区域：{reason}</translation>
    </message>
    <message>
      <source>The area lies outside the image; check the extent and the polygons.</source>
      <translation>检测区域位于影像之外，请检查范围和多边形。</translation>
    </message>
    <message>
      <source>The extent and the polygons have no part of the image in common.</source>
      <translation>范围与多边形在影像内没有公共部分。</translation>
    </message>
    <message>
      <source>The layer of the area holds no polygon.</source>
      <translation>检测区域图层中没有多边形。</translation>
    </message>
  </context>
  <context>
    <name>AreaBox</name>
    <message>
      <source>Clear</source>
      <translation>清除</translation>
    </message>
    <message>
      <source>Draw</source>
      <translation>绘制</translation>
    </message>
    <message>
      <source>Draw a rectangle on the map first.</source>
      <translation>请先在地图上绘制矩形。</translation>
    </message>
    <message>
      <source>Draw a rectangle on the map; Esc gives up</source>
      <translation>在地图上绘制矩形；按 Esc 放弃</translation>
    </message>
    <message>
      <source>Drawn rectangle</source>
      <translation>绘制的矩形</translation>
    </message>
    <message>
      <source>Remove the rectangle</source>
      <translation>移除矩形</translation>
    </message>
    <message>
      <source>Select features of “{layer}” first.</source>
      <translation>请先选择“{layer}”的要素。</translation>
    </message>
    <message>
      <source>Selected features</source>
      <translation>选中的要素</translation>
    </message>
    <message>
      <source>The drawn rectangle lies outside the image.</source>
      <translation>绘制的矩形位于影像之外。</translation>
    </message>
    <message>
      <source>The polygon layer whose selected features are looked at</source>
      <translation>使用其选中要素的多边形图层</translation>
    </message>
    <message>
      <source>The project has no polygon layer to select features of.</source>
      <translation>工程中没有可供选择要素的多边形图层。</translation>
    </message>
    <message>
      <source>The selected features lie outside the image.</source>
      <translation>选中的要素位于影像之外。</translation>
    </message>
    <message>
      <source>The visible map does not show the image.</source>
      <translation>当前地图视图中没有该影像。</translation>
    </message>
    <message>
      <source>Visible map</source>
      <translation>当前地图视图</translation>
    </message>
    <message>
      <source>Where in the image to look</source>
      <translation>在影像的哪个区域检测</translation>
    </message>
    <message>
      <source>Whole image</source>
      <translation>整幅影像</translation>
    </message>
  </context>
  <context>
    <name>ClassTable</name>
    <message>
      <source>All</source>
      <translation>全部</translation>
    </message>
    <message>
      <source>Class</source>
      <translation>类别</translation>
    </message>
    <message>
      <source>Least score of {name}, 0 to 1</source>
      <translation>{name} 的最低得分，0 至 1</translation>
    </message>
    <message>
      <source>None</source>
      <translation>无</translation>
    </message>
    <message>
      <source>Score from</source>
      <translation>最低得分</translation>
    </message>
    <message>
      <source>Shown / all</source>
      <translation>显示 / 全部</translation>
    </message>
    <message>
      <source>Tick all classes</source>
      <translation>勾选全部类别</translation>
    </message>
    <message>
      <source>Tick no class</source>
      <translation>取消勾选全部类别</translation>
    </message>
  </context>
  <context>
    <name>DetectAlgorithm</name>
    <message>
      <source>&lt;i&gt;int8&lt;/i&gt; and &lt;i&gt;bfloat16&lt;/i&gt; are faster on some processors, and a little less exact.</source>
      <translation>&lt;i&gt;int8&lt;/i&gt; 和 &lt;i&gt;bfloat16&lt;/i&gt; 在部分处理器上更快，但精度略低。</translation>
    </message>
    <message>
      <source>&lt;p&gt;Finds planes, ships and other objects in a satellite or aerial image of any size, and returns a polygon for each with its class, score, length, width and area.&lt;/p&gt;&lt;p&gt;The layer is styled by class. Licence, model and settings go with the result: a GeoPackage has them in its table &lt;i&gt;geodetect_runs&lt;/i&gt;, other layers in their metadata. &lt;b&gt;The model that comes with GeoDetect is for research and other non-commercial use only.&lt;/b&gt;&lt;/p&gt;</source>
      <translation>&lt;p&gt;在任意大小的卫星或航空影像中检测飞机、船舶及其他目标，并为每个目标生成一个多边形，带有类别、得分、长度、宽度和面积。&lt;/p&gt;&lt;p&gt;图层按类别设置样式。许可证、模型和参数随结果一同保存：GeoPackage 保存在其 &lt;i&gt;geodetect_runs&lt;/i&gt; 表中，其他图层保存在元数据中。&lt;b&gt;GeoDetect 自带的模型仅供科研及其他非商业用途。&lt;/b&gt;&lt;/p&gt;</translation>
    </message>
    <message>
      <source>A model's name, or a model's folder. One that is not on this computer is downloaded first.</source>
      <translation>模型名称或模型文件夹。本机没有的模型会先行下载。</translation>
    </message>
    <message>
      <source>A raster layer from a file, such as a GeoTIFF, VRT or JPEG 2000, with a red, green and blue band.</source>
      <translation>来自文件的栅格图层，例如 GeoTIFF、VRT 或 JPEG 2000，含红、绿、蓝波段。</translation>
    </message>
    <message>
      <source>Below 1 a share of the tile, else pixels; should be no less than the longest object. Not set: the model's own.</source>
      <translation>小于 1 表示占切片的比例，否则为像素数；不应小于最长的目标。不设置：使用模型默认值。</translation>
    </message>
    <message>
      <source>Cancelled.</source>
      <translation>已取消。</translation>
    </message>
    <message>
      <source>Classes, with commas between</source>
      <translation>类别（以英文逗号分隔）</translation>
    </message>
    <message>
      <source>Detect objects</source>
      <translation>目标检测</translation>
    </message>
    <message>
      <source>Detection</source>
      <translation>检测</translation>
    </message>
    <message>
      <source>Detections</source>
      <translation>检测结果</translation>
    </message>
    <message>
      <source>Device</source>
      <translation>设备</translation>
    </message>
    <message>
      <source>Engine</source>
      <translation>引擎</translation>
    </message>
    <message>
      <source>Extent</source>
      <translation>范围</translation>
    </message>
    <message>
      <source>Finds planes, ships and other objects in a satellite or aerial image.</source>
      <translation>在卫星或航空影像中检测飞机、船舶及其他目标。</translation>
    </message>
    <message>
      <source>Found: {found}.</source>
      <translation>检测到：{found}。</translation>
    </message>
    <message>
      <source>From 0 to 1. Lower finds more and errs more. Not set: the model's own for each class.</source>
      <translation>0 至 1。越低找到的目标越多，误检也越多。不设置：使用模型对各类别的默认值。</translation>
    </message>
    <message>
      <source>Image</source>
      <translation>影像</translation>
    </message>
    <message>
      <source>Keep only these, such as &lt;i&gt;plane,ship&lt;/i&gt;. Empty: all that the model knows.</source>
      <translation>只保留这些类别，例如 &lt;i&gt;plane,ship&lt;/i&gt;。留空：模型的全部类别。</translation>
    </message>
    <message>
      <source>Least score</source>
      <translation>最低得分</translation>
    </message>
    <message>
      <source>Least score by class</source>
      <translation>各类别最低得分</translation>
    </message>
    <message>
      <source>Licence of the model: {licence}.</source>
      <translation>模型许可证：{licence}。</translation>
    </message>
    <message>
      <source>Look only here. Empty: the whole image.</source>
      <translation>只在此范围内检测。留空：整幅影像。</translation>
    </message>
    <message>
      <source>Look only inside these polygons, in any CRS; with an extent: inside both.</source>
      <translation>只在这些多边形内检测，CRS 不限；同时给出范围时，取两者的公共部分。</translation>
    </message>
    <message>
      <source>Model</source>
      <translation>模型</translation>
    </message>
    <message>
      <source>Model: {model} {version} on {engine} ({device}, {precision}), {seconds:.1f} s.</source>
      <translation>模型：{model} {version}，引擎 {engine}（{device}，{precision}），用时 {seconds:.1f} 秒。</translation>
    </message>
    <message>
      <source>Not set: all cores.</source>
      <translation>不设置：使用全部核心。</translation>
    </message>
    <message>
      <source>Number of detections</source>
      <translation>检测目标数量</translation>
    </message>
    <message>
      <source>Overlap of tiles</source>
      <translation>切片重叠</translation>
    </message>
    <message>
      <source>Polygons to look in</source>
      <translation>检测区域多边形</translation>
    </message>
    <message>
      <source>Precision</source>
      <translation>精确率</translation>
    </message>
    <message>
      <source>Processor threads</source>
      <translation>处理器线程数</translation>
    </message>
    <message>
      <source>Side of the squares that the image is cut into. Not set: the model's own.</source>
      <translation>影像所切方块的边长。不设置：使用模型默认值。</translation>
    </message>
    <message>
      <source>Such as &lt;i&gt;plane=0.4,ship=0.3&lt;/i&gt;; wins over the least score for all.</source>
      <translation>例如 &lt;i&gt;plane=0.4,ship=0.3&lt;/i&gt;；优先于统一的最低得分。</translation>
    </message>
    <message>
      <source>The engine cannot place the image, its result is in pixels; warp the image to a GeoTIFF first.</source>
      <translation>引擎无法对影像进行地理定位，其结果以像素为坐标；请先将影像重投影（变形）为 GeoTIFF。</translation>
    </message>
    <message>
      <source>The layer of polygons. Prefer a GeoPackage: it keeps style, licence and settings.</source>
      <translation>多边形图层。建议使用 GeoPackage：可保存样式、许可证和参数。</translation>
    </message>
    <message>
      <source>Tile size (pixels)</source>
      <translation>切片大小（像素）</translation>
    </message>
    <message>
      <source>Unexpected {kind}: {reason}</source>
      <translation>意外错误 {kind}：{reason}</translation>
    </message>
    <message>
      <source>What runs the network; &lt;i&gt;auto&lt;/i&gt;: the fastest here.</source>
      <translation>运行网络的推理引擎；&lt;i&gt;auto&lt;/i&gt;：本机最快的引擎。</translation>
    </message>
    <message>
      <source>Where it runs; &lt;i&gt;auto&lt;/i&gt;: the fastest that is there.</source>
      <translation>运行设备；&lt;i&gt;auto&lt;/i&gt;：可用的最快设备。</translation>
    </message>
    <message>
      <source>nothing</source>
      <translation>无</translation>
    </message>
    <message>
      <source>plane,aircraft,ship,vessel,object detection,deep learning,AI,satellite,aerial,YOLO</source>
      <translation>飞机,船舶,舰船,目标检测,深度学习,人工智能,卫星,航空,遥感影像,YOLO,plane,ship,object detection</translation>
    </message>
  </context>
  <context>
    <name>DetectRun</name>
    <message>
      <source>The algorithm {name} is not there.</source>
      <translation>找不到算法 {name}。</translation>
    </message>
    <message>
      <source>The result {name} cannot be opened.</source>
      <translation>无法打开结果 {name}。</translation>
    </message>
    <message>
      <source>The run failed; the log tells more.</source>
      <translation>运行失败，详情见日志。</translation>
    </message>
  </context>
  <context>
    <name>Dressing</name>
    <message>
      <source>Objects in {scene}, found by GeoDetect with the model {model} {version}.</source>
      <translation>GeoDetect 使用模型 {model} {version} 在 {scene} 中检测到的目标。</translation>
    </message>
  </context>
  <context>
    <name>Engine</name>
    <message>
      <source>Correct or remove the environment variable {name}, then start QGIS again.</source>
      <translation>请改正或删除环境变量 {name}，然后重新启动 QGIS。</translation>
    </message>
    <message>
      <source>Install it in the settings.</source>
      <translation>请在设置中安装。</translation>
    </message>
    <message>
      <source>Install the engine, or choose another Python, in the settings.</source>
      <translation>请在设置中安装引擎，或选择其他 Python。</translation>
    </message>
    <message>
      <source>The engine is not installed.</source>
      <translation>引擎尚未安装。</translation>
    </message>
    <message>
      <source>{python} does not exist.</source>
      <translation>{python} 不存在。</translation>
    </message>
  </context>
  <context>
    <name>EngineAlgorithm</name>
    <message>
      <source>Cancelled.</source>
      <translation>已取消。</translation>
    </message>
    <message>
      <source>Unexpected {kind}: {reason}</source>
      <translation>意外错误 {kind}：{reason}</translation>
    </message>
  </context>
  <context>
    <name>EngineBanner</name>
    <message>
      <source>&amp;Install the engine…</source>
      <translation>安装引擎(&amp;I)…</translation>
    </message>
    <message>
      <source>GeoDetect looks for objects with an engine that is not installed yet.</source>
      <translation>GeoDetect 需要检测引擎，但引擎尚未安装。</translation>
    </message>
    <message>
      <source>Nothing is installed before you say so</source>
      <translation>未经您同意，不会安装任何内容</translation>
    </message>
    <message>
      <source>Repa&amp;ir the engine…</source>
      <translation>修复引擎(&amp;I)…</translation>
    </message>
  </context>
  <context>
    <name>EngineJobs</name>
    <message>
      <source>Cancelled; nothing of it is left.</source>
      <translation>已取消，未留下任何内容。</translation>
    </message>
    <message>
      <source>Installing GeoDetect's engine</source>
      <translation>正在安装 GeoDetect 的引擎</translation>
    </message>
    <message>
      <source>It works: {engine} on {device}, {precision}: {time} ms a tile. Self-test passed.</source>
      <translation>运行正常：{engine}，{device}，{precision}：每块切片 {time} 毫秒。自检通过。</translation>
    </message>
    <message>
      <source>Removing GeoDetect's engine</source>
      <translation>正在移除 GeoDetect 的引擎</translation>
    </message>
    <message>
      <source>Testing GeoDetect's engine</source>
      <translation>正在测试 GeoDetect 的引擎</translation>
    </message>
    <message>
      <source>The engine is removed.</source>
      <translation>引擎已移除。</translation>
    </message>
    <message>
      <source>geodetect {version} is installed.</source>
      <translation>已安装 geodetect {version}。</translation>
    </message>
  </context>
  <context>
    <name>EngineProcess</name>
    <message>
      <source>If memory was short, choose smaller tiles or fewer threads.</source>
      <translation>如果内存不足，请选择较小的切片或较少的线程。</translation>
    </message>
    <message>
      <source>Install the engine, or choose another Python, in the settings.</source>
      <translation>请在设置中安装引擎，或选择其他 Python。</translation>
    </message>
    <message>
      <source>Repair the engine, or choose another Python, in the settings.</source>
      <translation>请在设置中修复引擎，或选择其他 Python。</translation>
    </message>
    <message>
      <source>The engine ended unexpectedly ({how}).</source>
      <translation>引擎意外终止（{how}）。</translation>
    </message>
    <message>
      <source>The engine is geodetect {version} and speaks protocol {spoken}, this plugin speaks {own}.</source>
      <translation>引擎为 geodetect {version}，使用协议 {spoken}，而本插件使用协议 {own}。</translation>
    </message>
    <message>
      <source>Update the engine in the settings.</source>
      <translation>请在设置中更新引擎。</translation>
    </message>
    <message>
      <source>Update the plugin.</source>
      <translation>请更新插件。</translation>
    </message>
    <message>
      <source>exit code {code}</source>
      <translation>退出代码 {code}</translation>
    </message>
    <message>
      <source>geodetect does not start in {python} ({said}).</source>
      <translation>geodetect 无法在 {python} 中启动（{said}）。</translation>
    </message>
    <message>
      <source>it says nothing</source>
      <translation>没有任何输出</translation>
    </message>
    <message>
      <source>signal {code}</source>
      <translation>信号 {code}</translation>
    </message>
    <message>
      <source>{python} cannot be started ({why}).</source>
      <translation>无法启动 {python}（{why}）。</translation>
    </message>
  </context>
  <context>
    <name>EvaluateAlgorithm</name>
    <message>
      <source>&lt;p&gt;Compares a layer of detections with a layer of true objects, class by class: precision, recall, F1 and average precision as COCO defines it. The layer of errors shows hits, misses, false alarms and duplicates in colours.&lt;/p&gt;&lt;p&gt;Selected features, filters and unsaved edits of both layers count as they are. True objects with a field &lt;i&gt;difficult&lt;/i&gt; that is 1 count neither when found nor when missed.&lt;/p&gt;</source>
      <translation>&lt;p&gt;将检测结果图层与真实目标图层按类别对比：精确率、召回率、F1 以及 COCO 定义的平均精度。误差图层以不同颜色显示命中、漏检、虚警和重复检测。&lt;/p&gt;&lt;p&gt;两个图层的选中要素、过滤条件和未保存的编辑均按现状计入。字段 &lt;i&gt;difficult&lt;/i&gt; 为 1 的真实目标，无论检出与否均不计入。&lt;/p&gt;</translation>
    </message>
    <message>
      <source>A layer with the outcome of each detection and each missed object.</source>
      <translation>记录每个检测结果和每个漏检目标之判定的图层。</translation>
    </message>
    <message>
      <source>A page with the figures of each class.</source>
      <translation>列出各类别指标的网页。</translation>
    </message>
    <message>
      <source>Area that both share over the area that they cover together. 0.5 is usual.</source>
      <translation>两者重叠面积与合并面积之比，通常取 0.5。</translation>
    </message>
    <message>
      <source>Average precision at IoU 0.5 (AP50)</source>
      <translation>IoU 0.5 时的平均精度 (AP50)</translation>
    </message>
    <message>
      <source>Cancelled.</source>
      <translation>已取消。</translation>
    </message>
    <message>
      <source>Compare detections with the truth</source>
      <translation>检测结果与真值对比</translation>
    </message>
    <message>
      <source>Detections</source>
      <translation>检测结果</translation>
    </message>
    <message>
      <source>Duplicates</source>
      <translation>重复</translation>
    </message>
    <message>
      <source>Evaluation</source>
      <translation>精度评价</translation>
    </message>
    <message>
      <source>F1</source>
      <translation>F1</translation>
    </message>
    <message>
      <source>F1 {f1}, precision {precision}, recall {recall}: {hits} hits, {misses} misses, {false} false alarms.</source>
      <translation>F1 {f1}，精确率 {precision}，召回率 {recall}：命中 {hits}，漏检 {misses}，虚警 {false}。</translation>
    </message>
    <message>
      <source>False alarms</source>
      <translation>虚警</translation>
    </message>
    <message>
      <source>Field of the true class</source>
      <translation>真实类别字段</translation>
    </message>
    <message>
      <source>Hits</source>
      <translation>命中</translation>
    </message>
    <message>
      <source>Hits and errors</source>
      <translation>命中与误差</translation>
    </message>
    <message>
      <source>Least overlap of a hit (IoU)</source>
      <translation>命中的最低重叠度 (IoU)</translation>
    </message>
    <message>
      <source>Least score</source>
      <translation>最低得分</translation>
    </message>
    <message>
      <source>Leave out detections below it. Not set: all count.</source>
      <translation>忽略低于此得分的检测结果。不设置：全部计入。</translation>
    </message>
    <message>
      <source>Misses</source>
      <translation>漏检</translation>
    </message>
    <message>
      <source>Not set: &lt;i&gt;class&lt;/i&gt;, &lt;i&gt;label&lt;/i&gt;, &lt;i&gt;type&lt;/i&gt; or the like.</source>
      <translation>不设置：自动采用 &lt;i&gt;class&lt;/i&gt;、&lt;i&gt;label&lt;/i&gt;、&lt;i&gt;type&lt;/i&gt; 等字段。</translation>
    </message>
    <message>
      <source>Polygons or points with their class, in any CRS. A point is found by a polygon that holds it.</source>
      <translation>带有类别的多边形或点，CRS 不限。检测多边形包含某点时，该点视为检出。</translation>
    </message>
    <message>
      <source>Polygons with fields &lt;i&gt;class&lt;/i&gt; and &lt;i&gt;score&lt;/i&gt;, as “Detect objects” makes them.</source>
      <translation>带有 &lt;i&gt;class&lt;/i&gt; 和 &lt;i&gt;score&lt;/i&gt; 字段的多边形，即“目标检测”生成的结果。</translation>
    </message>
    <message>
      <source>Precision</source>
      <translation>精确率</translation>
    </message>
    <message>
      <source>Recall</source>
      <translation>召回率</translation>
    </message>
    <message>
      <source>Report</source>
      <translation>报告</translation>
    </message>
    <message>
      <source>Tells how many objects were found, missed or invented, and shows which.</source>
      <translation>统计检出、漏检和虚警的目标数量，并显示具体目标。</translation>
    </message>
    <message>
      <source>True objects</source>
      <translation>真实目标</translation>
    </message>
    <message>
      <source>Unexpected {kind}: {reason}</source>
      <translation>意外错误 {kind}：{reason}</translation>
    </message>
    <message>
      <source>accuracy,precision,recall,F1,average precision,AP,ground truth,validation,errors</source>
      <translation>精度,精确率,召回率,平均精度,真值,验证,误差,评价,precision,recall,F1,AP,ground truth</translation>
    </message>
  </context>
  <context>
    <name>GeoDetectDock</name>
    <message>
      <source>Detect</source>
      <translation>检测</translation>
    </message>
    <message>
      <source>Help</source>
      <translation>帮助</translation>
    </message>
    <message>
      <source>Nothing was found in “{scene}”.</source>
      <translation>在“{scene}”中未检测到目标。</translation>
    </message>
    <message>
      <source>Open the help in the browser</source>
      <translation>在浏览器中打开帮助</translation>
    </message>
    <message>
      <source>Results</source>
      <translation>结果</translation>
    </message>
    <message>
      <source>The algorithm {name} is not there.</source>
      <translation>找不到算法 {name}。</translation>
    </message>
    <message>
      <source>The layer is temporary: save it to keep it.</source>
      <translation>该图层为临时图层，如需保留请将其保存。</translation>
    </message>
    <message>
      <source>The project has no layer of detections yet</source>
      <translation>工程中还没有检测结果图层</translation>
    </message>
    <message>
      <source>Training data is made by QGIS's plugin Processing: switch it on first.</source>
      <translation>训练数据由 QGIS 的 Processing 插件生成，请先启用该插件。</translation>
    </message>
    <message>
      <source>{total} objects found in “{scene}”, which this project does not have any more.</source>
      <translation>在“{scene}”中检测到 {total} 个目标，但该影像已不在本工程中。</translation>
    </message>
    <message>
      <source>{total} objects found in “{scene}”, {shown} are shown at the chosen scores.</source>
      <translation>在“{scene}”中找到 {total} 个目标，按所选分数显示 {shown} 个。</translation>
    </message>
    <message>
      <source>“{layer}” was found in a part of its image only. Objects elsewhere have no label, and a model learns from that to overlook them: clip the image to this part first, or label the rest too.</source>
      <translation>“{layer}”只检测了影像的一部分。其余部分的目标没有标注，模型会因此学会忽略它们：请先将影像裁剪到该部分，或也标注其余部分。</translation>
    </message>
  </context>
  <context>
    <name>GeoDetectPlugin</name>
    <message>
      <source>Find planes, ships and other objects in an image</source>
      <translation>在影像中检测飞机、船舶及其他目标</translation>
    </message>
    <message>
      <source>GeoDetect</source>
      <translation>GeoDetect</translation>
    </message>
  </context>
  <context>
    <name>GeoDetectProvider</name>
    <message>
      <source>GeoDetect: objects in satellite and aerial images</source>
      <translation>GeoDetect：卫星与航空影像目标检测</translation>
    </message>
  </context>
  <context>
    <name>InstallChoice</name>
    <message>
      <source>&amp;Packages from</source>
      <translation>软件包来源(&amp;P)</translation>
    </message>
    <message>
      <source>A folder of wheel files, offline</source>
      <translation>wheel 文件夹（离线）</translation>
    </message>
    <message>
      <source>A wheel file of geodetect, the rest over the internet</source>
      <translation>geodetect 的 wheel 文件，其余从互联网获取</translation>
    </message>
    <message>
      <source>Choose the folder of wheel files.</source>
      <translation>请选择存放 wheel 文件的文件夹。</translation>
    </message>
    <message>
      <source>Choose the wheel file of geodetect.</source>
      <translation>请选择 geodetect 的 wheel 文件。</translation>
    </message>
    <message>
      <source>Compo&amp;nents</source>
      <translation>组件(&amp;N)</translation>
    </message>
    <message>
      <source>OpenVINO and MindSpore, which also trains models</source>
      <translation>OpenVINO 和 MindSpore（后者还可训练模型）</translation>
    </message>
    <message>
      <source>OpenVINO and ONNX Runtime</source>
      <translation>OpenVINO 和 ONNX Runtime</translation>
    </message>
    <message>
      <source>OpenVINO: fast on every processor</source>
      <translation>OpenVINO：在各种处理器上都快</translation>
    </message>
    <message>
      <source>The index is the one that pip is set to, else PyPI. QGIS's proxy is used. For a computer without internet, fill a folder on another one: pip download --only-binary=:all: geodetect</source>
      <translation>索引为 pip 所设置的索引，否则为 PyPI。使用 QGIS 的代理。若计算机没有网络，请在另一台计算机上填充文件夹：pip download --only-binary=:all: geodetect</translation>
    </message>
    <message>
      <source>The package index, over the internet</source>
      <translation>软件包索引（通过互联网）</translation>
    </message>
    <message>
      <source>The programs that run the models. You can add more later by installing again.</source>
      <translation>运行模型的程序。以后可再次安装以添加更多。</translation>
    </message>
    <message>
      <source>Wheel files</source>
      <translation>wheel 文件</translation>
    </message>
  </context>
  <context>
    <name>InstallDialog</name>
    <message>
      <source>&amp;Install</source>
      <translation>安装(&amp;I)</translation>
    </message>
    <message>
      <source>&amp;Repair or update</source>
      <translation>修复或更新(&amp;R)</translation>
    </message>
    <message>
      <source>&amp;Use an existing Python…</source>
      <translation>使用已有的 Python(&amp;U)…</translation>
    </message>
    <message>
      <source>GeoDetect finds objects with an engine, geodetect, which is a program of its own. It is installed into a private environment; QGIS's own Python is not touched.</source>
      <translation>GeoDetect 通过独立的引擎程序 geodetect 检测目标。引擎安装在专用环境中，不会改动 QGIS 自带的 Python。</translation>
    </message>
    <message>
      <source>Install GeoDetect's engine</source>
      <translation>安装 GeoDetect 的引擎</translation>
    </message>
    <message>
      <source>Licence</source>
      <translation>许可证</translation>
    </message>
    <message>
      <source>Nothing can be installed here: the environment variable {name} names the Python that is used, {python}.</source>
      <translation>此处无法安装：环境变量 {name} 指定了所用的 Python：{python}。</translation>
    </message>
    <message>
      <source>Options</source>
      <translation>选项</translation>
    </message>
    <message>
      <source>Size</source>
      <translation>大小</translation>
    </message>
    <message>
      <source>What</source>
      <translation>内容</translation>
    </message>
    <message>
      <source>Where</source>
      <translation>位置</translation>
    </message>
    <message>
      <source>about {size} MB, of which {download} MB are downloaded; {free} GB are free</source>
      <translation>约 {size} MB，其中需下载 {download} MB；磁盘可用空间 {free} GB</translation>
    </message>
    <message>
      <source>geodetect is free software (MIT). The model that comes with it is for research and other non-commercial use only, with attribution.</source>
      <translation>geodetect 是自由软件 (MIT)。其自带的模型仅供科研及其他非商业用途，并须注明来源。</translation>
    </message>
    <message>
      <source>geodetect {version}, OpenVINO, GDAL, and the model planes-ships-yolov3-tiny</source>
      <translation>geodetect {version}、OpenVINO、GDAL 以及模型 planes-ships-yolov3-tiny</translation>
    </message>
  </context>
  <context>
    <name>InstallError</name>
    <message>
      <source>A file cannot be written, or is in use.</source>
      <translation>文件无法写入，或正被占用。</translation>
    </message>
    <message>
      <source>A package file is damaged.</source>
      <translation>安装包文件已损坏。</translation>
    </message>
    <message>
      <source>Check its address, user and password in QGIS's network settings.</source>
      <translation>请在 QGIS 的网络设置中检查代理的地址、用户名和密码。</translation>
    </message>
    <message>
      <source>Check the connection and QGIS's proxy settings, or install from a folder of wheel files.</source>
      <translation>请检查网络连接和 QGIS 的代理设置，或从存放 wheel 文件的文件夹安装。</translation>
    </message>
    <message>
      <source>Choose an HTTP proxy in QGIS's network settings, or install from a folder of wheel files.</source>
      <translation>请在 QGIS 的网络设置中选择 HTTP 代理，或从存放 wheel 文件的文件夹安装。</translation>
    </message>
    <message>
      <source>Choose another Python, or give a package file.</source>
      <translation>请选择其他 Python，或指定安装包文件。</translation>
    </message>
    <message>
      <source>Close other QGIS windows and programs that use the engine, then try again.</source>
      <translation>请关闭其他 QGIS 窗口以及正在使用引擎的程序，然后重试。</translation>
    </message>
    <message>
      <source>Fetch it again, then try again.</source>
      <translation>请重新获取该文件，然后重试。</translation>
    </message>
    <message>
      <source>Fill it by `pip download` on a computer with the same system and Python, then try again.</source>
      <translation>请在系统和 Python 版本相同的计算机上用 `pip download` 下载文件并放入该文件夹，然后重试。</translation>
    </message>
    <message>
      <source>Installing failed: {said}</source>
      <translation>安装失败：{said}</translation>
    </message>
    <message>
      <source>Make room, then try again.</source>
      <translation>请腾出磁盘空间，然后重试。</translation>
    </message>
    <message>
      <source>No {name} that fits this computer and its Python is offered.</source>
      <translation>没有适用于本机及其 Python 的 {name}。</translation>
    </message>
    <message>
      <source>On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere install Python from python.org, or uv.</source>
      <translation>Debian 和 Ubuntu：sudo apt install python3-venv。其他系统请从 python.org 安装 Python，或安装 uv。</translation>
    </message>
    <message>
      <source>The disk is full.</source>
      <translation>磁盘已满。</translation>
    </message>
    <message>
      <source>The log says more: copy it into a report.</source>
      <translation>日志中有详细信息，报告问题时请附上。</translation>
    </message>
    <message>
      <source>The package index is not reached.</source>
      <translation>无法连接软件包索引。</translation>
    </message>
    <message>
      <source>The proxy is not reached, or does not let through.</source>
      <translation>无法连接代理，或代理拒绝通过。</translation>
    </message>
    <message>
      <source>The proxy is of type SOCKS, which pip cannot use.</source>
      <translation>代理类型为 SOCKS，pip 无法使用。</translation>
    </message>
    <message>
      <source>The server's certificate is not trusted.</source>
      <translation>服务器的证书不受信任。</translation>
    </message>
    <message>
      <source>This Python cannot make environments: its modules venv and pip are missing.</source>
      <translation>此 Python 无法创建虚拟环境：缺少 venv 和 pip 模块。</translation>
    </message>
    <message>
      <source>Your network may look into connections: set PIP_CERT to its certificate file, and restart QGIS.</source>
      <translation>您的网络可能会检查加密连接：请将 PIP_CERT 设为其证书文件，然后重启 QGIS。</translation>
    </message>
    <message>
      <source>{folder} has no file of {name} that fits this computer.</source>
      <translation>{folder} 中没有适用于本机的 {name} 文件。</translation>
    </message>
  </context>
  <context>
    <name>Installer</name>
    <message>
      <source>Another QGIS installs or removes the engine at the moment.</source>
      <translation>另一个 QGIS 正在安装或移除引擎。</translation>
    </message>
    <message>
      <source>Choose another.</source>
      <translation>请另选一个。</translation>
    </message>
    <message>
      <source>Install Python 3.12 from python.org, or uv from docs.astral.sh/uv, then try again.</source>
      <translation>请从 python.org 安装 Python 3.12，或从 docs.astral.sh/uv 安装 uv，然后重试。</translation>
    </message>
    <message>
      <source>Install that Python, or fill the folder for the Python that is here.</source>
      <translation>请安装该版本的 Python，或为本机的 Python 准备文件夹中的文件。</translation>
    </message>
    <message>
      <source>Make room, then try again.</source>
      <translation>请腾出磁盘空间，然后重试。</translation>
    </message>
    <message>
      <source>No Python 3.10, 3.11 or 3.12 (64 bits) is found on this computer.</source>
      <translation>本机未找到 Python 3.10、3.11 或 3.12（64 位）。</translation>
    </message>
    <message>
      <source>The wheel files are for Python {versions}, which is not here.</source>
      <translation>wheel 文件适用于 Python {versions}，但本机没有该版本。</translation>
    </message>
    <message>
      <source>Too little room in {folder}: {free} MB are free, {needed} MB are needed.</source>
      <translation>{folder} 空间不足：可用 {free} MB，需要 {needed} MB。</translation>
    </message>
    <message>
      <source>Wait until it is done.</source>
      <translation>请等待其完成。</translation>
    </message>
    <message>
      <source>{path} does not exist.</source>
      <translation>{path} 不存在。</translation>
    </message>
    <message>
      <source>{python} cannot make environments: its modules venv and ensurepip are missing.</source>
      <translation>{python} 无法创建虚拟环境：缺少 venv 和 ensurepip 模块。</translation>
    </message>
  </context>
  <context>
    <name>JobView</name>
    <message>
      <source>&amp;Cancel</source>
      <translation>取消(&amp;C)</translation>
    </message>
    <message>
      <source>C&amp;opy log</source>
      <translation>复制日志(&amp;O)</translation>
    </message>
    <message>
      <source>Cancelling…</source>
      <translation>正在取消…</translation>
    </message>
    <message>
      <source>Copy all of the log, to show it to somebody who can help</source>
      <translation>复制完整日志，以便请人协助</translation>
    </message>
    <message>
      <source>Installing…</source>
      <translation>正在安装…</translation>
    </message>
    <message>
      <source>Log</source>
      <translation>日志</translation>
    </message>
    <message>
      <source>Removing…</source>
      <translation>正在移除…</translation>
    </message>
    <message>
      <source>Step {number} of {count}: {doing}…</source>
      <translation>第 {number} 步，共 {count} 步：{doing}…</translation>
    </message>
    <message>
      <source>Testing: the engine looks for objects in a small image…</source>
      <translation>测试：引擎正在小影像中检测目标…</translation>
    </message>
    <message>
      <source>fetching and installing packages, which may take some minutes</source>
      <translation>获取并安装软件包，可能需要几分钟</translation>
    </message>
    <message>
      <source>looking for a Python</source>
      <translation>查找 Python</translation>
    </message>
    <message>
      <source>making the environment</source>
      <translation>创建环境</translation>
    </message>
    <message>
      <source>trying it out</source>
      <translation>试运行</translation>
    </message>
  </context>
  <context>
    <name>LayerResult</name>
    <message>
      <source>Style and licence are not stored in the database.</source>
      <translation>样式和许可证不会存入数据库。</translation>
    </message>
    <message>
      <source>Style and licence could not be stored in {path}: {reason}</source>
      <translation>无法将样式和许可证存入 {path}：{reason}</translation>
    </message>
  </context>
  <context>
    <name>Listener</name>
    <message>
      <source>Cutting: tile {done} of {total}</source>
      <translation>切片：第 {done} 块，共 {total} 块</translation>
    </message>
    <message>
      <source>Downloading the model: {done} of {total} MB</source>
      <translation>正在下载模型：{done} / {total} MB</translation>
    </message>
    <message>
      <source>Engine: geodetect {version}, Python {python}</source>
      <translation>引擎：geodetect {version}，Python {python}</translation>
    </message>
    <message>
      <source>Looking at image {done} of {total}</source>
      <translation>正在查看影像：第 {done} 幅，共 {total} 幅</translation>
    </message>
    <message>
      <source>Tile {done} of {total}, {found} found</source>
      <translation>第 {done} 块切片，共 {total} 块，检测到 {found} 个目标</translation>
    </message>
  </context>
  <context>
    <name>Messages</name>
    <message>
      <source>Open log</source>
      <translation>打开日志</translation>
    </message>
  </context>
  <context>
    <name>ModelBox</name>
    <message>
      <source>Asking the engine…</source>
      <translation>正在询问引擎…</translation>
    </message>
    <message>
      <source>Folder of a model package</source>
      <translation>模型包所在文件夹</translation>
    </message>
    <message>
      <source>Licence: {text}</source>
      <translation>许可证：{text}</translation>
    </message>
    <message>
      <source>Limits: {text}</source>
      <translation>局限：{text}</translation>
    </message>
    <message>
      <source>Other model…</source>
      <translation>其他模型…</translation>
    </message>
    <message>
      <source>Other…: take a model from a folder, with its model.yaml and weights</source>
      <translation>其他…：从文件夹选用模型，其中须有 model.yaml 和权重</translation>
    </message>
    <message>
      <source>The model that finds the objects</source>
      <translation>用于检测目标的模型</translation>
    </message>
    <message>
      <source>{folder} cannot be used as a model: {why}</source>
      <translation>{folder} 不能用作模型：{why}</translation>
    </message>
    <message>
      <source>{number} classes</source>
      <translation>{number} 个类别</translation>
    </message>
    <message>
      <source>{size} MB are downloaded first</source>
      <translation>需先下载 {size} MB</translation>
    </message>
  </context>
  <context>
    <name>ModelWidget</name>
    <message>
      <source>A model's folder</source>
      <translation>模型文件夹</translation>
    </message>
    <message>
      <source>Choose a model's folder</source>
      <translation>选择模型文件夹</translation>
    </message>
    <message>
      <source>Licence: {licence}</source>
      <translation>许可证：{licence}</translation>
    </message>
  </context>
  <context>
    <name>OptionsPage</name>
    <message>
      <source>&amp;Install</source>
      <translation>安装(&amp;I)</translation>
    </message>
    <message>
      <source>&amp;Repair or update</source>
      <translation>修复或更新(&amp;R)</translation>
    </message>
    <message>
      <source>&amp;Test</source>
      <translation>测试(&amp;T)</translation>
    </message>
    <message>
      <source>Choose its Python below.</source>
      <translation>请在下方选择其 Python。</translation>
    </message>
    <message>
      <source>Click again to remove</source>
      <translation>再次点击以移除</translation>
    </message>
    <message>
      <source>E&amp;xisting Python</source>
      <translation>已有的 Python(&amp;X)</translation>
    </message>
    <message>
      <source>Engine</source>
      <translation>引擎</translation>
    </message>
    <message>
      <source>GeoDetect</source>
      <translation>GeoDetect</translation>
    </message>
    <message>
      <source>In {folder}, {size} MB, made {day} by {maker}.</source>
      <translation>位于 {folder}，{size} MB，{day} 由 {maker} 创建。</translation>
    </message>
    <message>
      <source>Install it below.</source>
      <translation>请在下方安装。</translation>
    </message>
    <message>
      <source>Looking at {python}…</source>
      <translation>正在检查 {python}…</translation>
    </message>
    <message>
      <source>Make the environment again; nothing else is changed</source>
      <translation>重新创建环境；不改变其他内容</translation>
    </message>
    <message>
      <source>Private &amp;environment</source>
      <translation>专用环境(&amp;E)</translation>
    </message>
    <message>
      <source>Python with geodetect</source>
      <translation>含 geodetect 的 Python</translation>
    </message>
    <message>
      <source>Re&amp;move</source>
      <translation>移除(&amp;M)</translation>
    </message>
    <message>
      <source>Ready: geodetect {version}</source>
      <translation>就绪：geodetect {version}</translation>
    </message>
    <message>
      <source>Set by the environment variable {name}.</source>
      <translation>由环境变量 {name} 设定。</translation>
    </message>
    <message>
      <source>Show versions and device, and try the engine on a small image</source>
      <translation>显示版本和设备，并在小影像上试用引擎</translation>
    </message>
    <message>
      <source>There is no engine yet.</source>
      <translation>尚无引擎。</translation>
    </message>
    <message>
      <source>Will be made in {folder} and take about {size} MB. QGIS's own Python is not touched.</source>
      <translation>将在 {folder} 中创建，约需 {size} MB。不会改动 QGIS 自带的 Python。</translation>
    </message>
    <message>
      <source>python of an environment with geodetect in it</source>
      <translation>装有 geodetect 的环境中的 python</translation>
    </message>
  </context>
  <context>
    <name>Pace</name>
    <message>
      <source>Downloading the model, {done} of {total} MB</source>
      <translation>正在下载模型，{done} / {total} MB</translation>
    </message>
    <message>
      <source>Merging…</source>
      <translation>正在合并…</translation>
    </message>
    <message>
      <source>Working…</source>
      <translation>正在处理…</translation>
    </message>
    <message>
      <source>Writing…</source>
      <translation>正在写入…</translation>
    </message>
    <message>
      <source>{done} of {total} tiles, {found} found</source>
      <translation>已处理 {done} / {total} 块切片，检测到 {found} 个目标</translation>
    </message>
    <message>
      <source>{text}, {time} left</source>
      <translation>{text}，剩余 {time}</translation>
    </message>
  </context>
  <context>
    <name>RasterChoice</name>
    <message>
      <source>Add an image to the project first.</source>
      <translation>请先向工程中添加影像。</translation>
    </message>
    <message>
      <source>Export to GeoTI&amp;FF…</source>
      <translation>导出为 GeoTIFF(&amp;F)…</translation>
    </message>
    <message>
      <source>Images of the kind “{kind}” cannot be read by the engine: export the layer first.</source>
      <translation>引擎无法读取“{kind}”类型的影像，请先导出该图层。</translation>
    </message>
    <message>
      <source>Open QGIS's dialog to save the part that you need as an image of your own</source>
      <translation>打开 QGIS 的对话框，将所需部分另存为本地影像</translation>
    </message>
    <message>
      <source>The image to look at: a raster layer; follows the layer that is active in QGIS</source>
      <translation>待检测的影像：栅格图层；随 QGIS 的当前图层变化</translation>
    </message>
    <message>
      <source>This image exists in the memory of QGIS alone: export it first.</source>
      <translation>此影像仅存在于 QGIS 内存中，请先导出。</translation>
    </message>
    <message>
      <source>This image has no CRS: detections will lie upon it, but without sizes in metres.</source>
      <translation>此影像没有 CRS：检测结果仍与影像重合，但没有以米为单位的尺寸。</translation>
    </message>
    <message>
      <source>This is a web map service, which has no pixels of its own: export the part that you need.</source>
      <translation>这是网络地图服务，本身没有像元数据，请导出所需部分。</translation>
    </message>
    <message>
      <source>This layer cannot be opened; repair its data source.</source>
      <translation>无法打开此图层，请修复其数据源。</translation>
    </message>
  </context>
  <context>
    <name>Rasters</name>
    <message>
      <source>The CRS of “{name}” is set in this project, not in its file: the result gets it, but no sizes in metres.</source>
      <translation>“{name}”的 CRS 是在本工程中设置的，并未写入文件：结果会采用该 CRS，但没有以米为单位的尺寸。</translation>
    </message>
    <message>
      <source>The open options of “{name}” are not used.</source>
      <translation>不会使用“{name}”的打开选项。</translation>
    </message>
    <message>
      <source>“{name}” comes from the provider “{kind}”; export the layer to GeoTIFF first.</source>
      <translation>“{name}”来自数据提供者“{kind}”，请先将图层导出为 GeoTIFF。</translation>
    </message>
    <message>
      <source>“{name}” exists in the memory of QGIS alone; export the layer to GeoTIFF first.</source>
      <translation>“{name}”仅存在于 QGIS 内存中，请先将图层导出为 GeoTIFF。</translation>
    </message>
    <message>
      <source>“{name}” has no CRS: the result lies upon it, but gets no CRS and no sizes in metres. Assign it one with Raster ▸ Projections ▸ Assign Projection.</source>
      <translation>“{name}”没有 CRS：结果与影像重合，但没有 CRS，也没有以米为单位的尺寸。请通过“栅格 ▸ 投影 ▸ 指定投影”为其指定。</translation>
    </message>
    <message>
      <source>“{name}” is a web map service, which has no pixels of its own; export the part that you need to GeoTIFF (Layer ▸ Save As…, raw data or rendered image) and run on that.</source>
      <translation>“{name}”是网络地图服务，本身没有像元数据；请将所需部分导出为 GeoTIFF（图层 ▸ 另存为…，原始数据或渲染图像），再对其运行。</translation>
    </message>
    <message>
      <source>“{name}” is no plain file; export the layer to GeoTIFF first.</source>
      <translation>“{name}”不是普通文件，请先将图层导出为 GeoTIFF。</translation>
    </message>
  </context>
  <context>
    <name>Report</name>
    <message>
      <source>Best F1</source>
      <translation>最佳 F1</translation>
    </message>
    <message>
      <source>Class</source>
      <translation>类别</translation>
    </message>
    <message>
      <source>Detections and the truth</source>
      <translation>检测结果与真值</translation>
    </message>
    <message>
      <source>Duplicates</source>
      <translation>重复</translation>
    </message>
    <message>
      <source>False alarms</source>
      <translation>虚警</translation>
    </message>
    <message>
      <source>Hits</source>
      <translation>命中</translation>
    </message>
    <message>
      <source>Misses</source>
      <translation>漏检</translation>
    </message>
    <message>
      <source>Objects</source>
      <translation>目标数</translation>
    </message>
    <message>
      <source>Precision</source>
      <translation>精确率</translation>
    </message>
    <message>
      <source>Recall</source>
      <translation>召回率</translation>
    </message>
    <message>
      <source>all</source>
      <translation>全部</translation>
    </message>
    <message>
      <source>at score</source>
      <translation>对应得分</translation>
    </message>
    <message>
      <source>{detections} compared with {truth}; a hit overlaps by an IoU of at least {iou}.</source>
      <translation>{detections} 与 {truth} 对比；重叠度 (IoU) 不低于 {iou} 视为命中。</translation>
    </message>
  </context>
  <context>
    <name>ResultPanel</name>
    <message>
      <source>Accepted</source>
      <translation>已接受</translation>
    </message>
    <message>
      <source>All</source>
      <translation>全部</translation>
    </message>
    <message>
      <source>All but rejected</source>
      <translation>除已剔除外的全部</translation>
    </message>
    <message>
      <source>Counting…</source>
      <translation>正在统计…</translation>
    </message>
    <message>
      <source>Least score</source>
      <translation>最低得分</translation>
    </message>
    <message>
      <source>Lowest score shown, for all classes: fewer but surer detections to the right</source>
      <translation>所有类别显示的最低分数：越向右，检测越少但越可靠</translation>
    </message>
    <message>
      <source>Not reviewed</source>
      <translation>未审核</translation>
    </message>
    <message>
      <source>Result</source>
      <translation>结果</translation>
    </message>
    <message>
      <source>Score from</source>
      <translation>最低得分</translation>
    </message>
    <message>
      <source>Show</source>
      <translation>显示</translation>
    </message>
    <message>
      <source>The layer is being edited: save the edits to filter it again.</source>
      <translation>图层正在编辑：保存编辑后即可重新过滤。</translation>
    </message>
    <message>
      <source>The result to look at: any layer with the fields class and score</source>
      <translation>要查看的结果：任何带有 class 和 score 字段的图层</translation>
    </message>
    <message>
      <source>Which detections are shown, by their review</source>
      <translation>按审核状态选择显示哪些检测结果</translation>
    </message>
    <message>
      <source>{shown} of {total} detections are shown.</source>
      <translation>共 {total} 个检测结果，显示 {shown} 个。</translation>
    </message>
    <message>
      <source>{shown} of {total} detections are shown; reviewed: {reviewed}.</source>
      <translation>显示 {total} 个检测中的 {shown} 个；已审核：{reviewed}。</translation>
    </message>
    <message>
      <source>“{layer}” cannot be filtered.</source>
      <translation>无法过滤“{layer}”。</translation>
    </message>
  </context>
  <context>
    <name>Results</name>
    <message>
      <source>GeoDetect: {scene}</source>
      <translation>GeoDetect：{scene}</translation>
    </message>
    <message>
      <source>{scene}: detections</source>
      <translation>{scene}：检测结果</translation>
    </message>
  </context>
  <context>
    <name>Review</name>
    <message>
      <source>A feature of “{layer}” cannot be changed.</source>
      <translation>无法修改“{layer}”中的某个要素。</translation>
    </message>
    <message>
      <source>Accept detections</source>
      <translation>接受检测结果</translation>
    </message>
    <message>
      <source>Change class of detections</source>
      <translation>更改检测结果的类别</translation>
    </message>
    <message>
      <source>Reject detections</source>
      <translation>剔除检测结果</translation>
    </message>
    <message>
      <source>“{layer}” cannot be edited: it is read-only, or another program is writing to it.</source>
      <translation>无法编辑“{layer}”：图层只读，或其他程序正在写入。</translation>
    </message>
    <message>
      <source>“{layer}” cannot be given a field for reviews; save it as a GeoPackage first.</source>
      <translation>无法为“{layer}”添加审核字段，请先将其另存为 GeoPackage。</translation>
    </message>
  </context>
  <context>
    <name>ReviewPanel</name>
    <message>
      <source>Accept</source>
      <translation>接受</translation>
    </message>
    <message>
      <source>After accepting or rejecting, go to the next detection without review</source>
      <translation>接受或剔除后，转到下一个未审核的检测结果</translation>
    </message>
    <message>
      <source>Class</source>
      <translation>类别</translation>
    </message>
    <message>
      <source>Cut the image into labelled tiles, without rejected or hidden detections</source>
      <translation>将影像切成带标注的切片，不含已剔除或隐藏的检测结果</translation>
    </message>
    <message>
      <source>E&amp;xport as training data…</source>
      <translation>导出为训练数据(&amp;X)…</translation>
    </message>
    <message>
      <source>Every detection that is shown is reviewed.</source>
      <translation>所显示的检测结果均已审核。</translation>
    </message>
    <message>
      <source>Give the selected detections this class</source>
      <translation>将选中的检测结果设为此类别</translation>
    </message>
    <message>
      <source>Go to the next after each</source>
      <translation>审核后自动转到下一个</translation>
    </message>
    <message>
      <source>Go to the next detection without review, highest score first</source>
      <translation>转到下一个未审核的检测，分数高者优先</translation>
    </message>
    <message>
      <source>Next</source>
      <translation>下一个</translation>
    </message>
    <message>
      <source>Reject</source>
      <translation>剔除</translation>
    </message>
    <message>
      <source>Review</source>
      <translation>审核</translation>
    </message>
    <message>
      <source>Save edits</source>
      <translation>保存编辑</translation>
    </message>
    <message>
      <source>Select detections on the map, or click Next.</source>
      <translation>在地图上选择检测，或点击“下一个”。</translation>
    </message>
    <message>
      <source>Set class</source>
      <translation>设置类别</translation>
    </message>
    <message>
      <source>The edits could not be saved.</source>
      <translation>无法保存编辑。</translation>
    </message>
    <message>
      <source>The right class of the selected detections</source>
      <translation>所选检测的正确类别</translation>
    </message>
    <message>
      <source>The selected detections are right</source>
      <translation>选中的检测结果正确</translation>
    </message>
    <message>
      <source>The selected detections are wrong</source>
      <translation>选中的检测结果有误</translation>
    </message>
    <message>
      <source>Write the edits and end editing; until then Ctrl+Z takes them back</source>
      <translation>写入编辑并结束编辑；在此之前可用 Ctrl+Z 撤销</translation>
    </message>
    <message>
      <source>accepted</source>
      <translation>已接受</translation>
    </message>
    <message>
      <source>rejected</source>
      <translation>已剔除</translation>
    </message>
    <message>
      <source>{number} detections are selected.</source>
      <translation>已选中 {number} 个检测结果。</translation>
    </message>
  </context>
  <context>
    <name>RunFooter</name>
    <message>
      <source>Ca&amp;ncel</source>
      <translation>取消(&amp;N)</translation>
    </message>
    <message>
      <source>Cancelled; nothing was kept.</source>
      <translation>已取消，未保留任何结果。</translation>
    </message>
    <message>
      <source>Cancelling…</source>
      <translation>正在取消…</translation>
    </message>
    <message>
      <source>Detec&amp;t</source>
      <translation>检测(&amp;T)</translation>
    </message>
    <message>
      <source>Done in {time}.</source>
      <translation>完成，用时 {time}。</translation>
    </message>
    <message>
      <source>Look for objects in the image (Ctrl+Return)</source>
      <translation>在影像中检测目标 (Ctrl+Return)</translation>
    </message>
    <message>
      <source>Starting the engine…</source>
      <translation>正在启动引擎…</translation>
    </message>
    <message>
      <source>Stop at once; nothing is kept of the run</source>
      <translation>立即停止；不保留本次运行的任何结果</translation>
    </message>
  </context>
  <context>
    <name>RunPanel</name>
    <message>
      <source>&amp;Area</source>
      <translation>区域(&amp;A)</translation>
    </message>
    <message>
      <source>Choose a model first.</source>
      <translation>请先选择模型。</translation>
    </message>
    <message>
      <source>Classes</source>
      <translation>类别</translation>
    </message>
    <message>
      <source>Ima&amp;ge</source>
      <translation>影像(&amp;G)</translation>
    </message>
    <message>
      <source>Looking for the engine…</source>
      <translation>正在查找引擎…</translation>
    </message>
    <message>
      <source>Model</source>
      <translation>模型</translation>
    </message>
    <message>
      <source>Tick a class to look for.</source>
      <translation>请勾选要检测的类别。</translation>
    </message>
  </context>
  <context>
    <name>Sinks</name>
    <message>
      <source>Only {written} of {count} objects could be written; make room on the disk.</source>
      <translation>{count} 个目标中只写入了 {written} 个，请腾出磁盘空间。</translation>
    </message>
    <message>
      <source>The disk is full: make room in {folder}, or choose another.</source>
      <translation>磁盘已满：请在 {folder} 中腾出空间，或选择其他位置。</translation>
    </message>
  </context>
  <context>
    <name>TrainingDataAlgorithm</name>
    <message>
      <source>&lt;i&gt;drop&lt;/i&gt; counts them once.</source>
      <translation>&lt;i&gt;drop&lt;/i&gt;：重复标注只计一次。</translation>
    </message>
    <message>
      <source>&lt;p&gt;Cuts images into tiles and writes the objects of a layer as COCO annotations beside them: a folder that &lt;i&gt;geodetect train&lt;/i&gt; and most other programs take. A report and a contact sheet lie in it too.&lt;/p&gt;&lt;p&gt;Detections that you have corrected are good labels; those that you rejected are left out. Selected features, filters and unsaved edits count as they are. Objects with a field &lt;i&gt;difficult&lt;/i&gt; that is 1 are neither object nor background. Label every object in the images: one without a label is taught as background.&lt;/p&gt;</source>
      <translation>&lt;p&gt;将影像切成瓦片，并把图层中的目标写成 COCO 标注：&lt;i&gt;geodetect train&lt;/i&gt; 和大多数其他程序都能使用该文件夹。其中还有报告和缩略图总览。&lt;/p&gt;&lt;p&gt;经您修正的检测是很好的标注；被您拒绝的检测不会写入。所选要素、筛选和未保存的编辑均按现状计入。字段 &lt;i&gt;difficult&lt;/i&gt; 为 1 的目标既不算目标也不算背景。请标注影像中的每个目标：没有标注的目标会被当作背景来学习。&lt;/p&gt;</translation>
    </message>
    <message>
      <source>A new folder. A run that was stopped goes on when it is given again.</source>
      <translation>新文件夹。再次指定中断运行所用的文件夹，即可继续运行。</translation>
    </message>
    <message>
      <source>Cancelled.</source>
      <translation>已取消。</translation>
    </message>
    <message>
      <source>Choose at least one image.</source>
      <translation>请至少选择一幅影像。</translation>
    </message>
    <message>
      <source>Cuts labelled images into tiles with COCO annotations.</source>
      <translation>将已标注的影像切片，并生成 COCO 标注。</translation>
    </message>
    <message>
      <source>Field of the class</source>
      <translation>类别字段</translation>
    </message>
    <message>
      <source>How many of the tiles without an object are kept: they teach the model what to leave alone.</source>
      <translation>保留多少没有目标的瓦片：它们教模型哪些东西不必检测。</translation>
    </message>
    <message>
      <source>Images</source>
      <translation>影像</translation>
    </message>
    <message>
      <source>Labels</source>
      <translation>标注</translation>
    </message>
    <message>
      <source>Make training data</source>
      <translation>制作训练数据</translation>
    </message>
    <message>
      <source>No label is left: “{name}” has none, or all were rejected, filtered out or not selected.</source>
      <translation>没有剩余的标注：“{name}”没有标注，或所有标注都被拒绝、被筛除或未选中。</translation>
    </message>
    <message>
      <source>Not set: &lt;i&gt;class&lt;/i&gt;, &lt;i&gt;label&lt;/i&gt;, &lt;i&gt;type&lt;/i&gt; or the like.</source>
      <translation>不设置：自动采用 &lt;i&gt;class&lt;/i&gt;、&lt;i&gt;label&lt;/i&gt;、&lt;i&gt;type&lt;/i&gt; 等字段。</translation>
    </message>
    <message>
      <source>Number of objects</source>
      <translation>目标数量</translation>
    </message>
    <message>
      <source>Number of tiles</source>
      <translation>切片数量</translation>
    </message>
    <message>
      <source>Objects labelled twice</source>
      <translation>重复标注的目标</translation>
    </message>
    <message>
      <source>Overlap of tiles</source>
      <translation>切片重叠</translation>
    </message>
    <message>
      <source>Polygons or points with their class, in any CRS.</source>
      <translation>带有类别的多边形或点，CRS 不限。</translation>
    </message>
    <message>
      <source>Replace training data made with other settings</source>
      <translation>替换以其他参数制作的训练数据</translation>
    </message>
    <message>
      <source>Share for validation</source>
      <translation>验证集比例</translation>
    </message>
    <message>
      <source>Share of empty tiles</source>
      <translation>空切片比例</translation>
    </message>
    <message>
      <source>Share of the images that are kept to measure the model with; of a single image, a part of it.</source>
      <translation>留作评估模型的影像比例；只有一幅影像时为其一部分。</translation>
    </message>
    <message>
      <source>Share of the side; the longest object should fit into it.</source>
      <translation>占边长的比例；应能容纳最长的目标。</translation>
    </message>
    <message>
      <source>Side of a tile; as large as the network's input, or a little less.</source>
      <translation>切片边长；与网络输入相同或略小。</translation>
    </message>
    <message>
      <source>Side of the box around each point; needed where the labels are points.</source>
      <translation>以各点为中心的方框边长；标注为点时必填。</translation>
    </message>
    <message>
      <source>Size of objects marked by points (metres)</source>
      <translation>用点标记的目标的大小（米）</translation>
    </message>
    <message>
      <source>The labels are points: give the size of their objects in metres.</source>
      <translation>标注为点：请给出目标的大小（米）。</translation>
    </message>
    <message>
      <source>The raster layers that the labels lie over, from files.</source>
      <translation>标注所覆盖的栅格图层，须来自文件。</translation>
    </message>
    <message>
      <source>Tile size (pixels)</source>
      <translation>切片大小（像素）</translation>
    </message>
    <message>
      <source>Training</source>
      <translation>训练</translation>
    </message>
    <message>
      <source>Training data</source>
      <translation>训练数据</translation>
    </message>
    <message>
      <source>Unexpected {kind}: {reason}</source>
      <translation>意外错误 {kind}：{reason}</translation>
    </message>
    <message>
      <source>Where the folder holds some already.</source>
      <translation>当文件夹中已有数据时。</translation>
    </message>
    <message>
      <source>labels,annotations,COCO,tiles,chips,training,data set,machine learning</source>
      <translation>标注,样本,切片,训练,数据集,机器学习,COCO,labels,training,tiles</translation>
    </message>
    <message>
      <source>{tiles} tiles with {objects} objects ({found}) in {folder}.</source>
      <translation>{folder} 中有 {tiles} 块切片，{objects} 个目标（{found}）。</translation>
    </message>
  </context>
  <context>
    <name>Vectors</name>
    <message>
      <source>The engine's result cannot be opened: {reason}</source>
      <translation>无法打开引擎的结果：{reason}</translation>
    </message>
    <message>
      <source>{path} is open, perhaps as a layer of this project; remove the layer, or give another name.</source>
      <translation>{path} 已被打开，可能是本工程的图层；请移除该图层，或换一个名称。</translation>
    </message>
    <message>
      <source>“{name}” cannot be handed to the engine: {reason}</source>
      <translation>无法将“{name}”交给引擎：{reason}</translation>
    </message>
    <message>
      <source>“{name}” is being edited and lies in {path}; save its edits first, or give another name.</source>
      <translation>“{name}”正在编辑，且位于 {path}；请先保存编辑，或换一个名称。</translation>
    </message>
  </context>
</TS>
